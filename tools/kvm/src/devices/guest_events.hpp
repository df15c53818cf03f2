// SPDX-License-Identifier: GPL-2.0-only
//
// What a guest tells about itself (CONFIG_KVM_GUEST_EVENTS): pages of events, which it hands over
// by the hypercall KVM_HC_GUEST_EVENTS or, where KVM does not have that, by writing a page's number
// to a port. They leave as records (see Record) for the host program, which waits for none: the
// sender's vCPU does. machine/ owns it; take() and write() are called on vCPU threads.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bus/device.hpp"
#include "devices/byte_sink.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::devices {

// How a guest's events come, if it may send any.
enum class EventPath { kNone, kHypercall, kPort };
std::string_view name_of(EventPath path);  // "none", "hypercall", "port"

class GuestEvents : public bus::Device {
 public:
  // What precedes a page's events in the stream; little endian.
  struct Record {
    uint64_t received_ns;  // CLOCK_MONOTONIC of the host
    uint64_t sent_ns;      // the guest's clock at the same moment; 0 when it never sent them
    uint64_t lost;         // by the guest, for want of room
    uint32_t count;        // events that follow, each as <asm/kvm_para.h> has it
    uint32_t refused;      // by us so far: pages that make no sense, events beyond the limit
  };
  // A guest that boots sends some hundreds. One that sends more than this talks to itself.
  static constexpr uint64_t kMaxEvents = 1 << 16;
  static constexpr uint64_t kPortBytes = 4;

  // What the headers that this VMM was built with know; 0 when they know no guest events.
  static uint64_t hypercall_mask();
  static uint16_t port();
  // The bit in CPUID leaf KVM_CPUID_FEATURES that offers `path` to the guest.
  static uint32_t feature_bit(EventPath path);

  GuestEvents(const memory::GuestMemory& memory, ByteSink& output)
      : memory_(memory), output_(output) {}

  // Whether `number` is the hypercall. Then `take` it, and return its result to the guest.
  static bool is_hypercall(uint64_t number);
  uint64_t take(memory::GuestAddress page, EventPath path);

  // The port: a page's number.
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // How events have come so far.
  EventPath seen() const;
  // A record of what the guest had gathered and not sent; once its vCPUs have stopped.
  std::vector<std::byte> unsent() const;

 private:
  bool deliver(memory::GuestAddress page);

  const memory::GuestMemory& memory_;
  ByteSink& output_;
  mutable std::mutex mutex_;  // guards the rest
  std::optional<memory::GuestAddress> last_page_;
  EventPath seen_ = EventPath::kNone;
  uint64_t events_ = 0;
  uint32_t refused_ = 0;
};

}  // namespace vmm::devices
