// SPDX-License-Identifier: GPL-2.0-only
//
// The driver's side of a split virtqueue, as simple and as unchecked as possible: tests build good
// and bad rings with it. Used by the queue's own tests and, through MockDriver, by all others.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/guest_memory.hpp"
#include "virtio/queue/queue.hpp"
#include "virtio/queue/ring_abi.hpp"

namespace vmm::test {

struct Buffer {
  uint64_t address;
  uint32_t length;
  bool writable;
};

inline Buffer readable(uint64_t address, uint32_t length) { return {address, length, false}; }
inline Buffer writable(uint64_t address, uint32_t length) { return {address, length, true}; }

class MockRing {
 public:
  // Lays the three parts out one after the other from `base` on, which is page-aligned.
  MockRing(memory::GuestMemory& memory, uint64_t base, uint16_t size)
      : memory_(memory),
        size_(size),
        descriptors_(base),
        available_(base + size * sizeof(vring_desc)),
        used_((available_ + 6 + 2 * size + 3) & ~3ULL) {
    std::vector<std::byte> zeroes(end() - base);
    memory_.write({base}, zeroes);
  }

  uint16_t size() const { return size_; }
  uint64_t descriptors() const { return descriptors_; }
  uint64_t available() const { return available_; }
  uint64_t used() const { return used_; }
  uint64_t end() const { return used_ + 6 + 8ULL * size_; }

  virtio::QueueState state(bool indirect = true, bool event_index = false) const {
    virtio::QueueState state;
    state.size = size_;
    state.descriptors = {descriptors_};
    state.available = {available_};
    state.used = {used_};
    state.indirect = indirect;
    state.event_index = event_index;
    return state;
  }

  void set_descriptor(uint64_t index, const vring_desc& descriptor) {
    memory_.write_object({descriptors_ + index * sizeof descriptor}, descriptor);
  }

  // Writes a chain into consecutive descriptors and returns its head.
  uint16_t write_chain(std::span<const Buffer> buffers) {
    const uint16_t head = next_free_;
    for (size_t i = 0; i < buffers.size(); ++i) {
      const auto at = static_cast<uint16_t>((head + i) % size_);
      const bool last = i + 1 == buffers.size();
      set_descriptor(at, descriptor(buffers[i], last, static_cast<uint16_t>((at + 1) % size_)));
    }
    next_free_ = static_cast<uint16_t>((head + buffers.size()) % size_);
    return head;
  }

  // Writes a chain into an indirect table at `table` and one descriptor that refers to it.
  uint16_t write_indirect(uint64_t table, std::span<const Buffer> buffers) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      memory_.write_object({table + i * sizeof(vring_desc)},
                           descriptor(buffers[i], last, static_cast<uint16_t>(i + 1)));
    }
    const uint16_t head = next_free_;
    const auto length = static_cast<uint32_t>(buffers.size() * sizeof(vring_desc));
    set_descriptor(head, {table, length, VRING_DESC_F_INDIRECT, 0});
    next_free_ = static_cast<uint16_t>((head + 1) % size_);
    return head;
  }

  void make_available(uint16_t head) {
    memory_.write_object({available_ + 4 + 2ULL * (next_available_ % size_)}, head);
    set_available_index(static_cast<uint16_t>(next_available_ + 1));
  }

  uint16_t add(std::vector<Buffer> buffers) {
    const uint16_t head = write_chain(buffers);
    make_available(head);
    return head;
  }

  uint16_t available_index() const { return next_available_; }
  void set_available_index(uint16_t index) {
    next_available_ = index;
    memory_.store_release_u16({available_ + 2}, index);
  }

  uint16_t used_index() const { return *memory_.load_acquire_u16({used_ + 2}); }

  // Takes the next used element that the driver has not seen.
  std::optional<vring_used_elem> take_used() {
    if (used_index() == seen_used_) return std::nullopt;
    const uint64_t slot = seen_used_ % size_;
    ++seen_used_;
    return *memory_.read_object<vring_used_elem>({used_ + 4 + 8 * slot});
  }

  void set_no_interrupt(bool value) { memory_.store_release_u16({available_}, value ? 1 : 0); }
  void set_used_event(uint16_t value) {
    memory_.store_release_u16({available_ + 4 + 2ULL * size_}, value);
  }
  uint16_t available_event() const { return *memory_.load_acquire_u16({used_ + 4 + 8ULL * size_}); }

  // Makes a new ring whose indices do not start at zero, to test the wrap at 2^16.
  void start_at(uint16_t index) {
    set_available_index(index);
    memory_.store_release_u16({used_ + 2}, index);
    seen_used_ = index;
  }

 private:
  static vring_desc descriptor(const Buffer& buffer, bool last, uint16_t next) {
    const int flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
    return {buffer.address, buffer.length, static_cast<uint16_t>(flags), last ? uint16_t{0} : next};
  }

  memory::GuestMemory& memory_;
  uint16_t size_;
  uint64_t descriptors_;
  uint64_t available_;
  uint64_t used_;
  uint16_t next_free_ = 0;
  uint16_t next_available_ = 0;
  uint16_t seen_used_ = 0;
};

}  // namespace vmm::test
