// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/packed_ring.hpp"

#include <array>
#include <cassert>
#include <cstddef>
#include <span>

#include "virtio/queue/chain_builder.hpp"
#include "virtio/queue/fence.hpp"
#include "virtio/queue/placement.hpp"
#include "virtio/queue/ring_abi.hpp"

namespace vmm::virtio {

using memory::GuestAddress;
using memory::GuestMemory;

namespace {

constexpr uint16_t kMaxSize = 1 << 15;  // 2.8.10.1; not necessarily a power of two
constexpr uint64_t kDescriptorAlignment = 16;
constexpr uint64_t kEventAlignment = 4;

constexpr uint16_t kAvailable = 1 << VRING_PACKED_DESC_F_AVAIL;
constexpr uint16_t kUsed = 1 << VRING_PACKED_DESC_F_USED;
constexpr uint16_t kWrapBit = 1 << VRING_PACKED_EVENT_F_WRAP_CTR;
constexpr uint16_t kEventFlagsMask = 3;  // the other bits are reserved (2.8.10)

constexpr uint64_t kFlagsAt = offsetof(vring_packed_desc, flags);
constexpr uint64_t kEventPositionAt = offsetof(vring_packed_desc_event, off_wrap);
constexpr uint64_t kEventFlagsAt = offsetof(vring_packed_desc_event, flags);

// Whether the driver has made it available and the device has not used it yet (2.8.1): the driver's
// flag matches this lap's counter, and the device's flag still the previous lap's.
bool is_available(uint16_t flags, bool wrap) {
  return ((flags & kAvailable) != 0) == wrap && ((flags & kUsed) != 0) != wrap;
}

}  // namespace

std::optional<Fault> PackedRing::check(const GuestMemory& memory, const QueueState& state,
                                       uint16_t max_size) {
  if (state.size == 0 || state.size > max_size || state.size > kMaxSize) return Fault::kQueueSize;
  if (state.next_available >= state.size || state.next_used >= state.size) {
    return Fault::kQueueSize;
  }
  constexpr uint64_t kEventBytes = sizeof(vring_packed_desc_event);
  const std::array<RingPart, 3> parts = {{
      {state.used, kEventBytes, kEventAlignment},
      {state.descriptors, state.size * sizeof(vring_packed_desc), kDescriptorAlignment},
      {state.available, kEventBytes, kEventAlignment},
  }};
  return check_placement(memory, parts);
}

GuestAddress PackedRing::slot(uint32_t index) const {
  return {state_.descriptors.value + uint64_t{index} * sizeof(vring_packed_desc)};
}

bool PackedRing::has_available() const {
  // Acquire: the rest of the descriptor, and of the chain, is read after its flags.
  const auto flags =
      memory_->load_acquire_u16(GuestAddress{slot(state_.next_available).value + kFlagsAt});
  return flags && is_available(*flags, state_.available_wrap);
}

void PackedRing::request_notification() {
  const uint64_t event = state_.used.value;
  uint16_t flags = VRING_PACKED_EVENT_FLAG_ENABLE;
  if (state_.event_index) {
    const auto wrap = static_cast<uint16_t>(state_.available_wrap ? kWrapBit : 0);
    const auto position = static_cast<uint16_t>(state_.next_available | wrap);
    memory_->store_release_u16(GuestAddress{event + kEventPositionAt}, position);
    flags = VRING_PACKED_EVENT_FLAG_DESC;
  }
  memory_->store_release_u16(GuestAddress{event + kEventFlagsAt}, flags);
  // The driver writes a descriptor, then reads the device's event suppression; the device does the
  // reverse. Without a full fence both could miss the other's write (2.8.14).
  full_fence();
}

Popped PackedRing::pop() {
  if (!has_available()) {
    request_notification();
    if (!has_available()) return NoChain{};
  }
  return take_next();
}

Popped PackedRing::take_next() {
  ChainBuilder builder(*memory_, state_.size);
  uint32_t index = state_.next_available;
  for (uint16_t slots = 1; slots <= state_.size; ++slots) {
    // The driver marks the first descriptor last, so those after it are complete (2.8.6).
    const auto descriptor = memory_->read_object<vring_packed_desc>(slot(index));
    if (!descriptor) return Fault::kRingOutsideMemory;
    const bool more = (descriptor->flags & VRING_DESC_F_NEXT) != 0;
    std::optional<Fault> fault;
    if (descriptor->flags & VRING_DESC_F_INDIRECT) {
      // A table stands alone: no descriptor before it and none after (2.8.19).
      fault = more || slots != 1 ? Fault::kIndirectWithNext : add_indirect(builder, *descriptor);
    } else {
      fault = builder.add(GuestAddress{descriptor->addr}, descriptor->len,
                          (descriptor->flags & VRING_DESC_F_WRITE) != 0);
    }
    if (fault) return *fault;
    if (++index == state_.size) index = 0;
    if (more) continue;

    if (slots_in_flight_ + slots > state_.size) return Fault::kTooManyInFlight;
    if (index <= state_.next_available) state_.available_wrap = !state_.available_wrap;
    state_.next_available = static_cast<uint16_t>(index);
    slots_in_flight_ += slots;
    ++in_flight_;
    return builder.finish(descriptor->id, slots);  // the last descriptor's id counts (2.8.6)
  }
  return Fault::kChainTooLong;
}

std::optional<Fault> PackedRing::add_indirect(ChainBuilder& builder,
                                              const vring_packed_desc& descriptor) const {
  if (!state_.indirect) return Fault::kIndirectNotNegotiated;
  const uint32_t count = descriptor.len / sizeof(vring_packed_desc);
  if (count == 0 || descriptor.len % sizeof(vring_packed_desc) != 0) return Fault::kIndirectLength;
  // No chain may be longer than the queue (2.8.21.3), so a valid table is not longer either.
  if (count > state_.size) return Fault::kIndirectLength;
  if (!memory_->slice(GuestAddress{descriptor.addr}, descriptor.len)) {
    return Fault::kIndirectOutsideMemory;
  }
  // The chain consists of all entries, in order; only their flag WRITE has a meaning (2.8.7).
  for (uint64_t i = 0; i < count; ++i) {
    const GuestAddress place{descriptor.addr + i * sizeof(vring_packed_desc)};
    const auto entry = memory_->read_object<vring_packed_desc>(place);
    if (!entry) return Fault::kIndirectOutsideMemory;
    if (entry->flags & VRING_DESC_F_INDIRECT) return Fault::kIndirectNested;
    const bool writable = (entry->flags & VRING_DESC_F_WRITE) != 0;
    if (const auto fault = builder.add(GuestAddress{entry->addr}, entry->len, writable)) {
      return fault;
    }
  }
  return std::nullopt;
}

void PackedRing::push_used(Chain&& chain, uint32_t written_bytes) {
  publish(fill_used(std::move(chain), written_bytes));
}

void PackedRing::push_used(std::vector<UsedChain>&& chains) {
  if (chains.empty()) return;
  const Filled first = fill_used(std::move(chains.front().chain), chains.front().written_bytes);
  for (UsedChain& used : std::span(chains).subspan(1)) {
    publish(fill_used(std::move(used.chain), used.written_bytes));
  }
  // A driver reads the entries in order, so the first one's flags publish them all.
  publish(first);
}

PackedRing::Filled PackedRing::fill_used(Chain&& chain, uint32_t written_bytes) {
  const Chain done = std::move(chain);
  assert(done.owned_ && in_flight_ > 0 && written_bytes <= done.writable_bytes());
  --in_flight_;
  slots_in_flight_ -= done.slots_;
  const uint64_t at = slot(state_.next_used).value;
  memory_->write_object(GuestAddress{at + offsetof(vring_packed_desc, len)}, written_bytes);
  memory_->write_object(GuestAddress{at + offsetof(vring_packed_desc, id)}, done.head_);
  int flags = state_.used_wrap ? kAvailable | kUsed : 0;
  if (written_bytes != 0) flags |= VRING_DESC_F_WRITE;
  const Filled filled{GuestAddress{at + kFlagsAt}, static_cast<uint16_t>(flags)};

  const uint32_t next = uint32_t{state_.next_used} + done.slots_;
  state_.next_used = static_cast<uint16_t>(next);
  if (next < state_.size) return filled;
  state_.next_used = static_cast<uint16_t>(next - state_.size);
  state_.signalled_used = static_cast<uint16_t>(state_.signalled_used - state_.size);
  state_.used_wrap = !state_.used_wrap;
  return filled;
}

void PackedRing::publish(Filled entry) {
  // Release: a driver that sees the flags also sees the entry and the data in the buffers.
  memory_->store_release_u16(entry.flags_at, entry.flags);
}

void PackedRing::put_back(Chain&& chain) {
  const Chain unused = std::move(chain);
  assert(unused.owned_ && in_flight_ > 0);
  --in_flight_;
  slots_in_flight_ -= unused.slots_;
  uint32_t index = state_.next_available;
  if (index < unused.slots_) {
    index += state_.size;
    state_.available_wrap = !state_.available_wrap;
  }
  state_.next_available = static_cast<uint16_t>(index - unused.slots_);
}

bool PackedRing::needs_interrupt() {
  // The used entry is written before the driver's event suppression is read; the driver does the
  // reverse (2.8.14).
  full_fence();
  if (state_.next_used == state_.signalled_used) return false;
  const uint64_t event = state_.available.value;
  const auto flags = memory_->load_acquire_u16(GuestAddress{event + kEventFlagsAt});
  if (!flags) return false;
  const uint16_t before = state_.signalled_used;
  state_.signalled_used = state_.next_used;
  const uint16_t wish = *flags & kEventFlagsMask;
  if (wish != VRING_PACKED_EVENT_FLAG_DESC || !state_.event_index) {
    return wish != VRING_PACKED_EVENT_FLAG_DISABLE;
  }
  const auto position = memory_->load_acquire_u16(GuestAddress{event + kEventPositionAt});
  if (!position) return false;
  auto wanted = static_cast<uint16_t>(*position & ~kWrapBit);
  // A slot of the previous lap is counted from there.
  const bool this_lap = ((*position & kWrapBit) != 0) == state_.used_wrap;
  if (!this_lap) wanted = static_cast<uint16_t>(wanted - state_.size);
  return vring_need_event(wanted, state_.next_used, before) != 0;
}

}  // namespace vmm::virtio
