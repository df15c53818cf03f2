// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/chain_walker.hpp"

#include <limits>

#include "virtio/queue/queue.hpp"
#include "virtio/queue/ring_abi.hpp"

namespace vmm::virtio {

using memory::GuestAddress;

std::variant<Chain, Fault> ChainWalker::walk(uint16_t head) const {
  Chain chain(head);
  Table table{queue_.descriptors, queue_.size, false};
  uint32_t index = head;
  // One more round than buffers, for the descriptor that leads to the indirect table.
  for (uint32_t round = 0; round <= queue_.size; ++round) {
    const auto got = read(table, index);
    if (const auto* fault = std::get_if<Fault>(&got)) return *fault;
    const vring_desc descriptor = std::get<vring_desc>(got);

    if (descriptor.flags & VRING_DESC_F_INDIRECT) {
      const auto entered = enter(table, descriptor);
      if (const auto* fault = std::get_if<Fault>(&entered)) return *fault;
      table = std::get<Table>(entered);
      index = 0;
      continue;
    }
    const auto appended = append(chain, descriptor);
    if (const auto* fault = std::get_if<Fault>(&appended)) return *fault;
    if (!(descriptor.flags & VRING_DESC_F_NEXT)) return chain;
    index = descriptor.next;
  }
  return Fault::kChainTooLong;
}

std::variant<vring_desc, Fault> ChainWalker::read(const Table& table, uint32_t index) const {
  if (index >= table.length) return Fault::kNextOutOfRange;
  // The whole table is known to lie in memory, so its addresses do not wrap.
  const GuestAddress place{table.start.value + index * sizeof(vring_desc)};
  if (const auto descriptor = memory_.read_object<vring_desc>(place)) return *descriptor;
  return table.indirect ? Fault::kIndirectOutsideMemory : Fault::kRingOutsideMemory;
}

std::variant<ChainWalker::Table, Fault> ChainWalker::enter(const Table& from,
                                                           const vring_desc& descriptor) const {
  if (!queue_.indirect) return Fault::kIndirectNotNegotiated;
  if (from.indirect) return Fault::kIndirectNested;
  if (descriptor.flags & VRING_DESC_F_NEXT) return Fault::kIndirectWithNext;
  const uint32_t length = descriptor.len / sizeof(vring_desc);
  if (length == 0 || descriptor.len % sizeof(vring_desc) != 0) return Fault::kIndirectLength;
  // No chain may be longer than the queue (2.7.5.3.1), so no honest table is either.
  if (length > queue_.size) return Fault::kIndirectLength;
  const GuestAddress start{descriptor.addr};
  if (!memory_.slice(start, descriptor.len)) return Fault::kIndirectOutsideMemory;
  return Table{start, length, true};
}

std::variant<std::monostate, Fault> ChainWalker::append(Chain& chain,
                                                        const vring_desc& descriptor) const {
  if (chain.buffers_.size() == queue_.size) return Fault::kChainTooLong;
  const bool writable = (descriptor.flags & VRING_DESC_F_WRITE) != 0;
  if (!writable && chain.readable_count_ < chain.buffers_.size()) {
    return Fault::kWritableBeforeReadable;
  }
  if (descriptor.len == 0) return Fault::kZeroLength;
  const auto bytes = memory_.slice(GuestAddress{descriptor.addr}, descriptor.len);
  if (!bytes) return Fault::kBufferOutsideMemory;
  const uint64_t total = uint64_t{chain.readable_bytes_} + chain.writable_bytes_ + descriptor.len;
  if (total > std::numeric_limits<uint32_t>::max()) return Fault::kChainTooLarge;

  if (chain.buffers_.empty()) chain.buffers_.reserve(4);
  chain.buffers_.push_back({bytes->data(), bytes->size()});
  if (writable) {
    chain.writable_bytes_ += descriptor.len;
  } else {
    chain.readable_bytes_ += descriptor.len;
    ++chain.readable_count_;
  }
  return std::monostate{};
}

}  // namespace vmm::virtio
