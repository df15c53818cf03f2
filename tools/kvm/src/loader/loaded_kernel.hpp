// SPDX-License-Identifier: GPL-2.0-only
//
// The result of loading a kernel: how and where to enter it, and what memory it leaves free.
// Values, passed from loader/ to machine/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/choice.hpp"

namespace vmm::loader {

// The state of the processor at the first instruction, and how the kernel gets the machine's
// description.
enum class Protocol {
  kAuto,       // detect: Linux or multiboot
  kAutoFlat,   // detect, and flat when it is neither
  kLinux,      // 64-bit boot protocol: RSI holds the boot parameters
  kPvh,        // 32-bit: EBX holds Xen's hvm_start_info
  kMultiboot,  // 32-bit, Multiboot 1: EBX holds its information structure
  kFlat,       // raw code, entered in real mode as a boot sector would be
};

// kAutoFlat is not in the table: users cannot choose it.
constexpr std::array<base::Choice<Protocol>, 5> choices_of(Protocol) {
  return {{{"auto", Protocol::kAuto},
           {"linux", Protocol::kLinux},
           {"pvh", Protocol::kPvh},
           {"multiboot", Protocol::kMultiboot},
           {"flat", Protocol::kFlat}}};
}

struct LoadedKernel {
  Protocol protocol = Protocol::kLinux;
  uint64_t entry = 0;                   // guest-physical
  uint64_t end = 0;                     // end of the memory it uses before it reads its map
  uint64_t initrd_limit = 0;            // the initrd ends at or below this address
  uint64_t command_line_max = 0;        // without the NUL
  std::vector<std::byte> setup_header;  // from a bzImage; empty for others
  uint64_t initrd_start = 0;
  uint64_t initrd_size = 0;
};

}  // namespace vmm::loader
