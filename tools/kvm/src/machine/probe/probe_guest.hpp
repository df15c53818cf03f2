// SPDX-License-Identifier: GPL-2.0-only
//
// The guest code of the probe: position-independent 64-bit machine code, assembled into the VMM
// and copied into guest memory by probe.cpp. Before each step it writes the step's number to
// kProbePort; at the end it writes kProbeDone there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vmm::machine {

inline constexpr uint16_t kProbePort = 0x80;
inline constexpr uint8_t kProbeDone = 0xaa;

// Addresses that the code uses (below 1 MiB, clear of the boot structures in layout.hpp).
inline constexpr uint64_t kProbeScratch = 0x40000;  // 64-byte aligned, zeroed, 8 KiB
inline constexpr uint64_t kProbeIdt = 0x48000;
inline constexpr uint64_t kProbeCode = 0x50000;

inline constexpr uint8_t kBreakpointVector = 3;
inline constexpr uint8_t kTimerVector = 0x40;

// The names of the steps, by number.
inline constexpr std::array<std::string_view, 10> kProbeSteps = {
    "first instructions",   "cpuid",
    "rdmsr and wrmsr",      "cmpxchg16b",
    "locked add",           "string instructions",
    "SSE and xsave",        "xsaves",
    "int3 through the IDT", "local APIC timer interrupt",
};
inline constexpr uint8_t kProbeStepLoop = kProbeSteps.size();

struct ProbeGuest {
  std::span<const std::byte> code;
  uint64_t breakpoint_handler;  // offsets into the code
  uint64_t timer_handler;
};

ProbeGuest probe_guest();

}  // namespace vmm::machine
