// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image.hpp"

#include <algorithm>

#include "arch/x86_64/layout.hpp"
#include "loader/bzimage.hpp"
#include "loader/elf.hpp"
#include "loader/elf_file.hpp"
#include "loader/flat.hpp"
#include "loader/image_file.hpp"
#include "loader/multiboot.hpp"

namespace vmm::loader {
namespace {

using arch::layout::kMiB;
using arch::layout::kPageSize;
using memory::GuestAddress;

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

// Linux itself has no multiboot header, so a file with one is a payload.
Protocol recognise(Protocol wanted, const ImageFile& file) {
  if (wanted != Protocol::kAuto && wanted != Protocol::kAutoFlat) return wanted;
  if (is_multiboot(file)) return Protocol::kMultiboot;
  if (wanted == Protocol::kAuto || is_elf(file) || is_bzimage(file)) return Protocol::kLinux;
  return Protocol::kFlat;
}

LoadedKernel load_kernel(memory::GuestMemory& memory, Protocol wanted, const ImageFile& file) {
  switch (recognise(wanted, file)) {
    case Protocol::kPvh:
      return load_pvh(memory, file);
    case Protocol::kMultiboot:
      return load_multiboot(memory, file);
    case Protocol::kFlat:
      return load_flat(memory, file);
    case Protocol::kAuto:
    case Protocol::kAutoFlat:
    case Protocol::kLinux:
      break;
  }
  return is_elf(file) ? load_elf(memory, file) : load_bzimage(memory, file);
}

// Loads it as high as the kernel allows, clear of the memory that the kernel unpacks to and
// allocates early.
void load_initrd(memory::GuestMemory& memory, const ImageFile& file, LoadedKernel& kernel) {
  const uint64_t low_end = memory.regions().front().length;
  const uint64_t limit = std::min(low_end, kernel.initrd_limit);
  const uint64_t space = round_up(file.size(), kPageSize);
  if (kernel.end > limit || space > limit - kernel.end) {
    const uint64_t needed = round_up(kernel.end + space, kMiB) / kMiB;
    file.fail("does not fit: kernel and initrd need " + std::to_string(needed) +
              " MiB of guest memory, there are " + std::to_string(memory.size() / kMiB) +
              " MiB; raise --memory");
  }
  kernel.initrd_start = (limit - space) / kPageSize * kPageSize;
  kernel.initrd_size = file.size();
  file.read(0, *memory.slice(GuestAddress{kernel.initrd_start}, file.size()));
}

}  // namespace

LoadedKernel load_image(memory::GuestMemory& memory, Protocol wanted, const std::string& kernel,
                        const std::string& initrd) {
  LoadedKernel loaded = load_kernel(memory, wanted, ImageFile("kernel", kernel));
  if (!initrd.empty()) load_initrd(memory, ImageFile("initrd", initrd), loaded);
  return loaded;
}

}  // namespace vmm::loader
