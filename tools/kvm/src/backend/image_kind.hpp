// SPDX-License-Identifier: GPL-2.0-only
//
// Recognises an image format by a file's first bytes. It never decides how a disk is read, as a
// guest can write such bytes to a raw disk: machine/ uses it to refuse such a file as a raw disk
// unless the user insists. A pure function; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace vmm::backend {

// The number of bytes that image_kind() needs, or all of a smaller file.
inline constexpr size_t kImageKindBytes = 4096;

// "qcow2", "VMDK", ...; empty for everything else.
std::string_view image_kind(std::span<const std::byte> start);

}  // namespace vmm::backend
