// SPDX-License-Identifier: GPL-2.0-only
//
// System calls on an image file, repeated until complete; shared by the backends that use files.
// Failures are values, as they become I/O errors in the guest; any thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <system_error>

namespace vmm::backend {

// Transfer all of the buffers, or return an error; reaching the end of the file is one.
std::error_code read_all(int fd, uint64_t offset_bytes, std::span<const iovec> into);
// Reads from the page cache and never waits for the file: all was there, some was missing, or it is
// not known (a file system without RWF_NOWAIT).
enum class Cached { kRead, kMissing, kUnknown };
Cached read_cached(int fd, uint64_t offset_bytes, std::span<const iovec> into);

std::error_code write_all(int fd, uint64_t offset_bytes, std::span<const iovec> from);

std::error_code sync_data(int fd);

// fallocate(2) with these FALLOC_FL_* bits.
std::error_code allocate(int fd, int mode, uint64_t offset_bytes, uint64_t length_bytes);

// Claims an image until its file is closed: for this machine alone or, read-only, with other
// readers. False when another process, or another disk of this machine, has a claim that excludes
// it. On a file system without locks every claim succeeds.
bool claim_image(int fd, bool read_only);

// The file system does not support this operation; the caller may try another one.
bool is_unsupported(const std::error_code& error);

}  // namespace vmm::backend
