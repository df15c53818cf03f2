// SPDX-License-Identifier: GPL-2.0-only
//
// Where a block device's bytes live. virtio::Block owns one and calls it on vCPU threads, and for
// what may take long on a thread of its own; one call at a time unless concurrent() says that it
// takes more. Offsets and lengths are in bytes, multiples of a sector, and inside size_bytes(),
// which the device has checked. A failure of the host's storage is the guest's I/O error and
// therefore a value here; only opening throws.
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

  // What offsets and lengths should be multiples of; a power of two. Others may be slow, or fail.
  virtual uint32_t block_bytes() const { return kSectorBytes; }

  // What the guest sees as the disk's serial number; it shows the first 20 bytes.
  virtual std::string identity() const = 0;

  // All of the buffers, or an error.
  virtual std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) = 0;
  virtual std::error_code write(uint64_t offset_bytes, std::span<const iovec> from) = 0;

  // Once it succeeds, every earlier write survives a crash of the host. Once the host could not
  // make one stable, no later flush succeeds (backend/flusher.hpp).
  virtual std::error_code flush() = 0;

  // The same for a caller who does not wait: the result where it is to be had at once; else
  // nothing, and `done` gets it later, on another thread. The buffers, and the array that lists
  // them, stay until then. What has not ended when a flush begins, the flush does not cover.
  using Done = std::function<void(std::error_code)>;
  using Result = std::optional<std::error_code>;
  virtual Result begin_read(uint64_t offset_bytes, std::span<const iovec> into, Done) {
    return read(offset_bytes, into);
  }
  virtual Result begin_write(uint64_t offset_bytes, std::span<const iovec> from, Done) {
    return write(offset_bytes, from);
  }
  // False where flush() is the only way; `done` is as it was then.
  virtual bool begin_flush(Done&) { return false; }

  // Waits for the end of all that was begun; `done` may be called on this thread, too.
  virtual void drain() {}

  // The range's content no longer matters; what it reads as afterwards is up to the backend.
  virtual std::error_code discard(uint64_t offset_bytes, uint64_t length_bytes) = 0;

  // The range reads as zeroes. `may_unmap` lets the backend give its space back.
  virtual std::error_code write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                                       bool may_unmap) = 0;
};

}  // namespace vmm::backend
