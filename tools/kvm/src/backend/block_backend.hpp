// SPDX-License-Identifier: GPL-2.0-only
//
// The storage behind a block device. virtio::Block owns one and calls it on vCPU threads, or on its
// own thread for what may take long; one call at a time unless concurrent() is true. Offsets and
// lengths are in bytes, multiples of a sector, and inside size_bytes(), which the device has
// checked. A failure of the host's storage becomes an I/O error in the guest and is therefore
// returned as a value; only opening throws.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <system_error>

namespace vmm::backend {

inline constexpr uint64_t kSectorBytes = 512;

class BlockBackend {
 public:
  virtual ~BlockBackend() = default;

  virtual uint64_t size_bytes() const = 0;
  virtual bool read_only() const = 0;
  virtual bool concurrent() const { return false; }

  // Offsets and lengths should be multiples of this power of two. Others may be slow, or fail.
  virtual uint32_t block_bytes() const { return kSectorBytes; }

  // The disk's serial number; the guest sees the first 20 bytes.
  virtual std::string identity() const = 0;

  // Fills all of the buffers, or returns an error.
  virtual std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) = 0;
  virtual std::error_code write(uint64_t offset_bytes, std::span<const iovec> from) = 0;

  // Once it succeeds, every earlier write survives a crash of the host. Once a flush has failed, no
  // later one succeeds (backend/flusher.hpp).
  virtual std::error_code flush() = 0;

  // Asynchronous versions. They return the result if it is known at once; else nothing, and `done`
  // gets it later, on another thread. The buffers, and the array that lists them, must stay until
  // then. A flush does not cover requests that have not completed when it begins.
  using Done = std::function<void(std::error_code)>;
  using Result = std::optional<std::error_code>;
  virtual Result begin_read(uint64_t offset_bytes, std::span<const iovec> into, Done) {
    return read(offset_bytes, into);
  }
  virtual Result begin_write(uint64_t offset_bytes, std::span<const iovec> from, Done) {
    return write(offset_bytes, from);
  }
  // Returns false, with `done` untouched, when only flush() is possible.
  virtual bool begin_flush(Done&) { return false; }

  // Waits until all requests that were begun have completed; may call `done` on this thread.
  virtual void drain() {}

  // The range's content no longer matters; the backend decides what it reads as afterwards.
  virtual std::error_code discard(uint64_t offset_bytes, uint64_t length_bytes) = 0;

  // Makes the range read as zeroes. `may_unmap` lets the backend free its space.
  virtual std::error_code write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                                       bool may_unmap) = 0;

  // The backend's part of a rewind (machine/rewind.cpp), while no request is in flight. False: what
  // a guest has written can't be taken back.
  virtual bool can_rewind() const { return read_only(); }
  virtual void checkpoint() {}
  virtual void rewind() {}
};

}  // namespace vmm::backend
