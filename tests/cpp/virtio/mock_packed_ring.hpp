// SPDX-License-Identifier: GPL-2.0-only
//
// The driver's side of a packed virtqueue, as simple and as unchecked as possible: tests build good
// and bad rings with it. The counterpart of MockRing, with the same names for the same functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "memory/guest_memory.hpp"
#include "mock_ring.hpp"
#include "virtio/queue/ring_abi.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::test {

class MockPackedRing {
 public:
  static constexpr uint16_t kAvailable = 1 << VRING_PACKED_DESC_F_AVAIL;
  static constexpr uint16_t kUsed = 1 << VRING_PACKED_DESC_F_USED;
  static constexpr uint16_t kWrap = 1 << VRING_PACKED_EVENT_F_WRAP_CTR;

  // Places the ring, the driver's event structure and the device's from `base` on.
  MockPackedRing(memory::GuestMemory& memory, uint64_t base, uint16_t size)
      : memory_(memory), size_(size), descriptors_(base) {
    memory_.write({base}, std::vector<std::byte>(end() - base));
  }

  uint16_t size() const { return size_; }
  uint64_t descriptors() const { return descriptors_; }
  uint64_t available() const { return descriptors_ + 16ULL * size_; }
  uint64_t used() const { return available() + 4; }
  uint64_t end() const { return used() + 4; }

  virtio::QueueState state(bool indirect = true, bool event_index = false) const {
    virtio::QueueState state;
    state.size = size_;
    state.descriptors = {descriptors_};
    state.available = {available()};
    state.used = {used()};
    state.packed = true;
    state.indirect = indirect;
    state.event_index = event_index;
    return state;
  }

  // Writes the flags last: a device on another thread may read them at any time (2.8.21).
  void set_descriptor(uint64_t slot, const vring_packed_desc& descriptor) {
    const auto bytes = std::as_bytes(std::span(&descriptor, 1));
    memory_.write({place_of(slot)}, bytes.first(kFlagsAt));
    memory_.store_release_u16({place_of(slot) + kFlagsAt}, descriptor.flags);
  }
  vring_packed_desc descriptor(uint64_t slot) const {
    return *memory_.read_object<vring_packed_desc>({descriptors_ + slot * 16});
  }

  // The flags that make the next descriptor available.
  uint16_t available_flags() const { return wrap_ ? kAvailable : kUsed; }

  // Puts the next descriptor, with `flags` in addition to those that make it available.
  void put(uint64_t address, uint32_t length, int flags, uint16_t id = 0) {
    set_descriptor(next_, {address, length, id, static_cast<uint16_t>(flags | available_flags())});
    advance();
  }

  // Makes a chain available, its head last, and returns its id.
  uint16_t add(std::vector<Buffer> buffers) {
    const uint16_t id = next_id_++;
    const uint64_t head_slot = next_;
    vring_packed_desc head{};
    for (size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const int flags =
          (buffers[i].writable ? VRING_DESC_F_WRITE : 0) | (last ? 0 : VRING_DESC_F_NEXT);
      const vring_packed_desc descriptor{buffers[i].address, buffers[i].length, id,
                                         static_cast<uint16_t>(flags | available_flags())};
      if (i == 0) {
        head = descriptor;
      } else {
        set_descriptor(next_, descriptor);
      }
      advance();
    }
    if (!buffers.empty()) set_descriptor(head_slot, head);
    return id;
  }

  // Makes a chain available by an indirect table at `table`.
  uint16_t add_indirect(uint64_t table, std::span<const Buffer> buffers) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      const auto flags = static_cast<uint16_t>(buffers[i].writable ? VRING_DESC_F_WRITE : 0);
      memory_.write_object({table + i * 16},
                           vring_packed_desc{buffers[i].address, buffers[i].length, 0, flags});
    }
    const uint16_t id = next_id_++;
    put(table, static_cast<uint32_t>(buffers.size() * 16), VRING_DESC_F_INDIRECT, id);
    return id;
  }

  // Takes the next used entry, if there is one, for a chain of `slots` entries.
  std::optional<vring_used_elem> take_used(uint16_t slots = 1) {
    const uint16_t flags = *memory_.load_acquire_u16({place_of(seen_) + kFlagsAt});
    const bool available = (flags & kAvailable) != 0;
    const bool used = (flags & kUsed) != 0;
    if (available != used || used != seen_wrap_) return std::nullopt;
    const vring_packed_desc entry = descriptor(seen_);
    if ((seen_ += slots) >= size_) {
      seen_ -= size_;
      seen_wrap_ = !seen_wrap_;
    }
    return vring_used_elem{entry.id, entry.len};
  }

  // The driver's event suppression, for interrupts.
  void set_driver_event(uint16_t flags, uint16_t position = 0) {
    memory_.store_release_u16({available()}, position);
    memory_.store_release_u16({available() + 2}, flags);
  }
  // The device's event suppression, for notifications.
  uint16_t device_event_position() const { return *memory_.load_acquire_u16({used()}); }
  uint16_t device_event_flags() const { return *memory_.load_acquire_u16({used() + 2}); }

 private:
  static constexpr size_t kFlagsAt = offsetof(vring_packed_desc, flags);

  uint64_t place_of(uint64_t slot) const { return descriptors_ + slot * sizeof(vring_packed_desc); }
  void advance() {
    if (++next_ < size_) return;
    next_ = 0;
    wrap_ = !wrap_;
  }

  memory::GuestMemory& memory_;
  uint16_t size_;
  uint64_t descriptors_;
  uint16_t next_ = 0;
  bool wrap_ = true;
  uint32_t seen_ = 0;
  bool seen_wrap_ = true;
  uint16_t next_id_ = 0x100;  // the driver chooses ids, independent of slots
};

}  // namespace vmm::test
