// SPDX-License-Identifier: GPL-2.0-only
//
// Documentation/arch/x86/boot.rst: "The Real-Mode Kernel Header" and "64-bit Boot Protocol".
#include "loader/bzimage.hpp"

#include <asm/bootparam.h>

#include <algorithm>
#include <string>

#include "arch/x86_64/layout.hpp"

namespace vmm::loader {
namespace {

using arch::layout::kHighRamStart;
using arch::layout::kMiB;
using memory::GuestAddress;

constexpr uint64_t kHeaderAt = 0x1f1;
constexpr uint16_t kBootFlag = 0xaa55;
constexpr uint32_t kMagic = 0x53726448;  // "HdrS"
constexpr uint16_t kVersionWithXloadflags = 0x020c;
constexpr uint64_t kEntry64 = 0x200;
constexpr uint64_t kSectorSize = 512;
// The header's description says that zero means 4.
constexpr uint64_t kDefaultSetupSectors = 4;

bool is_large_enough(const ImageFile& file) {
  return file.size() >= kHeaderAt + sizeof(setup_header);
}

bool has_magic(const setup_header& header) {
  return header.boot_flag == kBootFlag && header.header == kMagic;
}

setup_header read_header(const ImageFile& file) {
  if (!is_large_enough(file)) {
    file.fail("is neither an ELF vmlinux nor a bzImage: only " + std::to_string(file.size()) +
              " bytes");
  }
  const auto header = file.read_object<setup_header>(kHeaderAt);
  if (!has_magic(header)) {
    file.fail(
        "is neither an ELF vmlinux nor a bzImage; pass the vmlinux or "
        "arch/x86/boot/bzImage of a kernel build");
  }
  if (header.version < kVersionWithXloadflags) {
    file.fail("is a bzImage of a kernel before 3.8, without a 64-bit entry point");
  }
  if ((header.xloadflags & XLF_KERNEL_64) == 0) {
    file.fail("is a bzImage of a 32-bit kernel; build it with CONFIG_64BIT=y");
  }
  return header;
}

// The boot parameters copy the header up to the end given by its length byte.
std::vector<std::byte> raw_header(const ImageFile& file) {
  const uint64_t jump_length = file.read_object<uint8_t>(kHeaderAt + 0x10);
  const uint64_t length =
      std::clamp<uint64_t>(0x202 + jump_length - kHeaderAt, 0x30, sizeof(setup_header));
  std::vector<std::byte> bytes(length);
  file.read(kHeaderAt, bytes);
  return bytes;
}

}  // namespace

bool is_bzimage(const ImageFile& file) {
  return is_large_enough(file) && has_magic(file.read_object<setup_header>(kHeaderAt));
}

LoadedKernel load_bzimage(memory::GuestMemory& memory, const ImageFile& file) {
  const setup_header header = read_header(file);
  const uint64_t setup_sectors =
      header.setup_sects == 0 ? kDefaultSetupSectors : header.setup_sects;
  const uint64_t payload_at = (setup_sectors + 1) * kSectorSize;
  // syssize counts 16-byte paragraphs; anything after it is a signature or padding.
  const uint64_t payload_size = uint64_t{header.syssize} * 16;
  if (payload_size <= kEntry64) file.fail("has no protected-mode code; build it again");

  const uint64_t load_at = header.pref_address;
  if (load_at < kHighRamStart) file.fail("asks to be loaded below 1 MiB");
  const uint64_t footprint = std::max<uint64_t>(header.init_size, payload_size);
  const auto place = memory.slice(GuestAddress{load_at}, footprint);
  if (!place) {
    const uint64_t needed = (load_at + footprint + kMiB - 1) / kMiB;
    file.fail("does not fit: it needs " + std::to_string(needed) +
              " MiB of guest memory, there are " + std::to_string(memory.size() / kMiB) +
              " MiB; raise --memory");
  }
  file.read(payload_at, place->first(payload_size));

  LoadedKernel kernel;
  kernel.entry = load_at + kEntry64;
  kernel.end = load_at + footprint;
  kernel.initrd_limit = uint64_t{header.initrd_addr_max} + 1;
  kernel.command_line_max =
      std::min<uint64_t>(header.cmdline_size, arch::layout::kCommandLineMax - 1);
  kernel.setup_header = raw_header(file);
  return kernel;
}

}  // namespace vmm::loader
