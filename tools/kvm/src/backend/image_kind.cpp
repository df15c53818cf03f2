// SPDX-License-Identifier: GPL-2.0-only
#include "backend/image_kind.hpp"

#include <cstring>

namespace vmm::backend {
namespace {

using namespace std::string_view_literals;

struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view kind;
};

constexpr Magic kMagics[] = {
    {0, "QFI\xfb\0\0\0\x01"sv, "qcow"},
    {0, "QFI\xfb"sv, "qcow2"},
    {0, "QED\0"sv, "QED"},
    {0, "KDMV"sv, "VMDK"},
    {0, "COWD"sv, "VMDK"},
    {0, "# Disk DescriptorFile"sv, "VMDK"},
    {0, "vhdxfile"sv, "VHDX"},
    {0, "conectix"sv, "VHD"},
    {64, "\x7f\x10\xda\xbe"sv, "VDI"},  // 0xbeda107f, after a line of text
    {0, "WithoutFreeSpace"sv, "Parallels"},
    {0, "WithouFreSpacExt"sv, "Parallels"},
};

}  // namespace

std::string_view image_kind(std::span<const std::byte> start) {
  for (const Magic& magic : kMagics) {
    if (start.size() < magic.offset + magic.bytes.size()) continue;
    const std::byte* there = start.data() + magic.offset;
    if (std::memcmp(there, magic.bytes.data(), magic.bytes.size()) == 0) return magic.kind;
  }
  return {};
}

}  // namespace vmm::backend
