// SPDX-License-Identifier: GPL-2.0-only
//
// O_DIRECT requires offsets, lengths and addresses that are multiples of a block. The guest knows
// the block size and chooses offsets and lengths; its driver places buffers anywhere, so unaligned
// requests go through a bounce buffer. Used by RawFile; any thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <system_error>

namespace vmm::backend {

// The block size for O_DIRECT on this file, a power of two and at least a sector.
uint32_t direct_block_bytes(int fd);

// Whether O_DIRECT takes these buffers as they are.
bool is_aligned(std::span<const iovec> buffers, uint32_t block_bytes);

// Like read_all() and write_all().
std::error_code read_direct(int fd, uint32_t block_bytes, uint64_t offset_bytes,
                            std::span<const iovec> into);
std::error_code write_direct(int fd, uint32_t block_bytes, uint64_t offset_bytes,
                             std::span<const iovec> from);

}  // namespace vmm::backend
