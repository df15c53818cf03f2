// SPDX-License-Identifier: GPL-2.0-only
//
// Events that a guest reports about itself (CONFIG_KVM_GUEST_EVENTS): it passes pages of events by
// the hypercall KVM_HC_GUEST_EVENTS or, where KVM lacks that, by writing a page's number to a port.
// They go to the host program as records (see Record). When the output is full, the sending vCPU
// waits. machine/ owns it; take() and write() are called on vCPU threads.
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

// The way by which a guest sends events, if it may send any.
enum class EventPath { kNone, kHypercall, kPort };
std::string_view name_of(EventPath path);  // "none", "hypercall", "port"

class GuestEvents : public bus::Device {
 public:
  // The header before a page's events in the stream; little endian.
  struct Record {
    uint64_t received_ns;  // CLOCK_MONOTONIC of the host
    uint64_t sent_ns;      // the guest's clock at the same moment; 0 for events it never sent
    uint64_t lost;         // events the guest dropped for lack of room
    uint32_t count;        // events that follow, as in <asm/kvm_para.h>
    uint32_t refused;      // refused so far: invalid pages, events beyond the limit
  };
  // A booting guest sends some hundreds. More than this is treated as a flood and refused.
  static constexpr uint64_t kMaxEvents = 1 << 16;
  static constexpr uint64_t kPortBytes = 4;

  // The hypercall that the headers of this build define, as a mask; 0 if they have no guest events.
  static uint64_t hypercall_mask();
  static uint16_t port();
  // The bit in CPUID leaf KVM_CPUID_FEATURES that offers `path` to the guest.
  static uint32_t feature_bit(EventPath path);

  GuestEvents(const memory::GuestMemory& memory, ByteSink& output)
      : memory_(memory), output_(output) {}

  // Whether `number` is the hypercall. If so, the caller passes its page to take() and returns the
  // result to the guest.
  static bool is_hypercall(uint64_t number);
  uint64_t take(memory::GuestAddress page, EventPath path);

  // The port. A write takes a page's number.
  void read(uint64_t offset, std::span<std::byte> data) override;
  void write(uint64_t offset, std::span<const std::byte> data) override;

  // Keeps what is known of the guest's events, and brings that back.
  void checkpoint();
  void rewind();

  // The path by which events have come so far.
  EventPath seen() const;
  // A record of the events that the guest had gathered but not sent. Call it after its vCPUs have
  // stopped.
  std::vector<std::byte> unsent() const;

 private:
  bool deliver(memory::GuestAddress page);

  const memory::GuestMemory& memory_;
  ByteSink& output_;
  mutable std::mutex mutex_;  // guards the members below
  struct State {
    std::optional<memory::GuestAddress> last_page;
    EventPath seen = EventPath::kNone;
    uint64_t events = 0;
    uint32_t refused = 0;
  };
  State state_;
  State kept_;  // at the checkpoint
};

}  // namespace vmm::devices
