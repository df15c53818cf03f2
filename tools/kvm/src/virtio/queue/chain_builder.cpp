// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/queue/chain_builder.hpp"

#include <limits>
#include <utility>

namespace vmm::virtio {

std::optional<Fault> ChainBuilder::add(memory::GuestAddress address, uint32_t length,
                                       bool writable) {
  if (chain_.buffers_.size() == max_buffers_) return Fault::kChainTooLong;
  if (!writable && chain_.readable_count_ < chain_.buffers_.size()) {
    return Fault::kWritableBeforeReadable;
  }
  if (length == 0) return Fault::kZeroLength;
  const auto bytes = memory_.slice(address, length);
  if (!bytes) return Fault::kBufferOutsideMemory;
  const uint64_t total = uint64_t{chain_.readable_bytes_} + chain_.writable_bytes_ + length;
  if (total > std::numeric_limits<uint32_t>::max()) return Fault::kChainTooLarge;

  if (chain_.buffers_.empty()) chain_.buffers_.reserve(4);
  chain_.buffers_.push_back({bytes->data(), bytes->size()});
  if (writable) {
    chain_.writable_bytes_ += length;
  } else {
    chain_.readable_bytes_ += length;
    ++chain_.readable_count_;
  }
  return std::nullopt;
}

Chain ChainBuilder::finish(uint16_t head, uint16_t slots) {
  chain_.head_ = head;
  chain_.slots_ = slots;
  return std::move(chain_);
}

}  // namespace vmm::virtio
