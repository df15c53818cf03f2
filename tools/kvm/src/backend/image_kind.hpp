// SPDX-License-Identifier: GPL-2.0-only
//
// Which image format a file's first bytes name. It never chooses how a disk is read, as a guest can
// write such bytes to a raw disk: machine/ uses it to refuse an image as a raw disk unless the user
// says so. A pure function; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace vmm::backend {

// What image_kind() wants to see, or all of a smaller file.
inline constexpr size_t kImageKindBytes = 4096;

// "qcow2", "VMDK", ...; empty for everything else.
std::string_view image_kind(std::span<const std::byte> start);

}  // namespace vmm::backend
