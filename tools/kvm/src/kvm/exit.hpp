// SPDX-License-Identifier: GPL-2.0-only
//
// Why a vCPU came back from the guest. Vcpu::run() returns one of these; machine/dispatch decides
// what happens. The spans of Pio and Mmio point into the vCPU's shared page: they are valid on the
// vCPU's thread until its next run(), and the guest gets what a read stores there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace vmm::kvm {

enum class Direction { kRead, kWrite };

// `count` accesses of `width` bytes each to one port (string I/O has count > 1).
struct Pio {
  Direction direction;
  uint16_t port;
  uint8_t width;
  uint32_t count;
  std::span<std::byte> data;
};

struct Mmio {
  Direction direction;
  uint64_t address;
  std::span<std::byte> data;
};

struct Halt {};         // HLT without an in-kernel interrupt controller
struct Shutdown {};     // triple fault
struct Interrupted {};  // a signal, or immediate_exit
struct Debug {};

// `result` is the hypercall's return value, eight bytes; it points into the shared page too.
struct Hypercall {
  uint64_t number;
  uint64_t argument;  // the first of six
  std::span<std::byte> result;
};

// A processor's end of interrupt for a level-triggered pin of a split machine's IOAPIC.
struct IoApicEoi {
  uint8_t vector;
};

struct SystemEvent {
  uint32_t type;
};

struct FailEntry {
  uint64_t hardware_reason;
  uint32_t cpu;
};

struct InternalError {
  uint32_t suberror;
  std::string detail;  // suberror's name, and the instruction bytes if KVM provides them
};

// An exit reason this VMM never enabled.
struct Unknown {
  uint32_t reason;
};

using Exit = std::variant<Pio, Mmio, Halt, Shutdown, Interrupted, Debug, Hypercall, IoApicEoi,
                          SystemEvent, FailEntry, InternalError, Unknown>;

// A short name for counters and logs: "io", "mmio", "shutdown", ...
std::string_view name_of(const Exit& exit);

}  // namespace vmm::kvm
