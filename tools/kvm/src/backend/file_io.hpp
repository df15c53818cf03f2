// SPDX-License-Identifier: GPL-2.0-only
//
// System calls on an image file, repeated until all is done: what the backends that live in files
// share. Failures are values, as they become the guest's I/O errors; any thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <system_error>

namespace vmm::backend {

// All of the buffers, or an error; the end of the file is one.
std::error_code read_all(int fd, uint64_t offset_bytes, std::span<const iovec> into);
// What the page cache has of it: all, not all, or it does not say (a file system without
// RWF_NOWAIT). Never waits for the file.
enum class Cached { kRead, kMissing, kUnknown };
Cached read_cached(int fd, uint64_t offset_bytes, std::span<const iovec> into);

std::error_code write_all(int fd, uint64_t offset_bytes, std::span<const iovec> from);

std::error_code sync_data(int fd);

// fallocate(2) with these FALLOC_FL_* bits.
std::error_code allocate(int fd, int mode, uint64_t offset_bytes, uint64_t length_bytes);

// Claims an image until its file is closed: for this machine alone or, read-only, with other
// readers. False when somebody else, or another disk of this machine, has a claim that excludes it.
// A file system without locks lets everybody in.
bool claim_image(int fd, bool read_only);

// The file system does not know that way; another one may be tried.
bool is_unsupported(const std::error_code& error);

}  // namespace vmm::backend
