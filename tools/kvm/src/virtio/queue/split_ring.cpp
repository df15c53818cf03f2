// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/split_ring.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>

#include "virtio/queue/chain_walker.hpp"
#include "virtio/queue/fence.hpp"
#include "virtio/queue/placement.hpp"
#include "virtio/queue/ring_abi.hpp"

namespace vmm::virtio {

using memory::GuestAddress;
using memory::GuestMemory;

namespace {

// Ring fields are little-endian (virtio 1.2, 1.4); this code reads them without conversion.
static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kFlagsOffset = 0;
constexpr uint64_t kIndexOffset = 2;
constexpr uint64_t kRingOffset = 4;
static_assert(offsetof(vring_avail, idx) == kIndexOffset);
static_assert(offsetof(vring_avail, ring) == kRingOffset);
static_assert(offsetof(vring_used, idx) == kIndexOffset);
static_assert(offsetof(vring_used, ring) == kRingOffset);

}  // namespace

std::optional<Fault> SplitRing::check(const GuestMemory& memory, const QueueState& state,
                                      uint16_t max_size) {
  if (!std::has_single_bit(state.size) || state.size > max_size) return Fault::kQueueSize;
  const uint64_t size = state.size;
  // The sizes of 2.7: each ring ends in one event index word, used or not.
  constexpr uint64_t kEventBytes = sizeof(uint16_t);
  const std::array<RingPart, 3> parts = {{
      {state.used, kRingOffset + size * sizeof(vring_used_elem) + kEventBytes,
       VRING_USED_ALIGN_SIZE},
      {state.descriptors, size * sizeof(vring_desc), VRING_DESC_ALIGN_SIZE},
      {state.available, kRingOffset + size * sizeof(uint16_t) + kEventBytes,
       VRING_AVAIL_ALIGN_SIZE},
  }};
  return check_placement(memory, parts);
}

GuestAddress SplitRing::available_entry(uint16_t index) const {
  const uint64_t slot = index & (state_.size - 1U);
  return {state_.available.value + kRingOffset + slot * sizeof(uint16_t)};
}

GuestAddress SplitRing::used_entry(uint16_t index) const {
  const uint64_t slot = index & (state_.size - 1U);
  return {state_.used.value + kRingOffset + slot * sizeof(vring_used_elem)};
}

std::variant<uint16_t, Fault> SplitRing::available_count() const {
  // Acquire: the entries and descriptors that the index announces are read after it.
  const auto index = memory_->load_acquire_u16(GuestAddress{state_.available.value + kIndexOffset});
  if (!index) return Fault::kRingOutsideMemory;
  const auto count = static_cast<uint16_t>(*index - state_.next_available);
  if (count > state_.size) return Fault::kAvailableIndexJumped;
  return count;
}

bool SplitRing::has_available() const {
  const auto count = available_count();
  const uint16_t* known = std::get_if<uint16_t>(&count);
  return known == nullptr || *known != 0;
}

void SplitRing::request_notification() {
  if (!state_.event_index) return;  // the used ring's flags never suppress notifications
  const GuestAddress event{state_.used.value + kRingOffset + state_.size * sizeof(vring_used_elem)};
  memory_->store_release_u16(event, state_.next_available);
  // The driver writes its index, then reads the device's event index; the device does the reverse.
  // Without a full fence both could miss the other's write (2.7.10.1).
  full_fence();
}

Popped SplitRing::pop() {
  auto count = available_count();
  if (const uint16_t* known = std::get_if<uint16_t>(&count); known != nullptr && *known == 0) {
    request_notification();
    count = available_count();
  }
  if (const Fault* fault = std::get_if<Fault>(&count)) return *fault;
  if (std::get<uint16_t>(count) == 0) return NoChain{};
  return take_next();
}

Popped SplitRing::take_next() {
  if (in_flight_ == state_.size) return Fault::kTooManyInFlight;
  const auto head = memory_->read_object<uint16_t>(available_entry(state_.next_available));
  if (!head) return Fault::kRingOutsideMemory;
  if (*head >= state_.size) return Fault::kHeadOutOfRange;
  auto walked = ChainWalker(*memory_, state_).walk(*head);
  if (const Fault* fault = std::get_if<Fault>(&walked)) return *fault;
  ++state_.next_available;
  ++in_flight_;
  return std::move(std::get<Chain>(walked));
}

void SplitRing::push_used(Chain&& chain, uint32_t written_bytes) {
  fill_used(std::move(chain), written_bytes);
  publish_used();
}

void SplitRing::push_used(std::vector<UsedChain>&& chains) {
  for (UsedChain& used : chains) fill_used(std::move(used.chain), used.written_bytes);
  publish_used();
}

void SplitRing::fill_used(Chain&& chain, uint32_t written_bytes) {
  const Chain done = std::move(chain);
  assert(done.owned_ && in_flight_ > 0 && written_bytes <= done.writable_bytes());
  --in_flight_;
  const vring_used_elem element{done.head(), written_bytes};
  memory_->write_object(used_entry(state_.next_used), element);
  ++state_.next_used;
}

void SplitRing::publish_used() {
  // Release: a driver that sees the index also sees the elements and the data in the buffers.
  memory_->store_release_u16(GuestAddress{state_.used.value + kIndexOffset}, state_.next_used);
}

void SplitRing::put_back(Chain&& chain) {
  const Chain unused = std::move(chain);
  assert(unused.owned_ && in_flight_ > 0);
  --in_flight_;
  --state_.next_available;
}

bool SplitRing::needs_interrupt() {
  // The used index is written before the driver's flags or event index are read; the driver does
  // the reverse (2.7.7).
  full_fence();
  if (state_.next_used == state_.signalled_used) return false;
  if (!state_.event_index) {
    const auto flags =
        memory_->load_acquire_u16(GuestAddress{state_.available.value + kFlagsOffset});
    state_.signalled_used = state_.next_used;
    return flags && !(*flags & VRING_AVAIL_F_NO_INTERRUPT);
  }
  const GuestAddress event{state_.available.value + kRingOffset + state_.size * sizeof(uint16_t)};
  const auto wanted = memory_->load_acquire_u16(event);
  if (!wanted) return false;
  const bool crossed = vring_need_event(*wanted, state_.next_used, state_.signalled_used) != 0;
  state_.signalled_used = state_.next_used;
  return crossed;
}

}  // namespace vmm::virtio
