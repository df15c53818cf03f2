// SPDX-License-Identifier: GPL-2.0-only
#include "loader/flat.hpp"

#include <string>

#include "arch/x86_64/layout.hpp"

namespace vmm::loader {

namespace layout = arch::layout;

LoadedKernel load_flat(memory::GuestMemory& memory, const ImageFile& file) {
  constexpr uint64_t kSpace = layout::kLowRamEnd - layout::kFlatLoad;
  if (file.size() > kSpace) {
    file.fail("is too large for a flat binary: " + std::to_string(file.size()) +
              " bytes, there "
              "are " +
              std::to_string(kSpace) + " in conventional memory");
  }
  file.read(0, *memory.slice(memory::GuestAddress{layout::kFlatLoad}, file.size()));
  LoadedKernel kernel;
  kernel.protocol = Protocol::kFlat;
  kernel.entry = layout::kFlatLoad;
  kernel.end = layout::kHighRamStart;
  kernel.initrd_limit = memory::GuestMemory::kLowEnd;
  return kernel;
}

}  // namespace vmm::loader
