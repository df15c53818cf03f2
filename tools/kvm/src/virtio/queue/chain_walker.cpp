// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/chain_walker.hpp"

#include "virtio/queue/chain_builder.hpp"
#include "virtio/queue/ring_abi.hpp"
#include "virtio/queue/state.hpp"

namespace vmm::virtio {

using memory::GuestAddress;

std::variant<Chain, Fault> ChainWalker::walk(uint16_t head) const {
  ChainBuilder builder(memory_, queue_.size);
  Table table{queue_.descriptors, queue_.size, false};
  uint32_t index = head;
  // One more round than buffers, for the descriptor that refers to the indirect table.
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
    const bool writable = (descriptor.flags & VRING_DESC_F_WRITE) != 0;
    const auto fault = builder.add(GuestAddress{descriptor.addr}, descriptor.len, writable);
    if (fault) return *fault;
    if (!(descriptor.flags & VRING_DESC_F_NEXT)) return builder.finish(head, 1);
    index = descriptor.next;
  }
  return Fault::kChainTooLong;
}

std::variant<vring_desc, Fault> ChainWalker::read(const Table& table, uint32_t index) const {
  if (index >= table.length) return Fault::kNextOutOfRange;
  // The whole table lies in memory, as checked before, so its addresses do not wrap.
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
  // No chain may be longer than the queue (2.7.5.3.1), so a valid table is not longer either.
  if (length > queue_.size) return Fault::kIndirectLength;
  const GuestAddress start{descriptor.addr};
  if (!memory_.slice(start, descriptor.len)) return Fault::kIndirectOutsideMemory;
  return Table{start, length, true};
}

}  // namespace vmm::virtio
