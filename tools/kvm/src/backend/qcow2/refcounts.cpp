// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/refcounts.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <span>
#include <utility>

#include "backend/qcow2/format.hpp"

namespace vmm::backend::qcow2 {
namespace {

// The limit for blocks in memory, each of which covers a large part of the disk.
constexpr uint64_t kMaxCacheBytes = 4 << 20;

std::error_code no_space() { return std::make_error_code(std::errc::no_space_on_device); }

}  // namespace

std::error_code Refcounts::load() {
  table_offset_ = header_.refcount_table_offset;
  table_.resize(header_.refcount_table_clusters * header_.l2_entries());
  return file_.read_entries(table_offset_, table_);
}

uint64_t Refcounts::table_clusters() const { return table_.size() / header_.l2_entries(); }

std::vector<uint64_t> Refcounts::block_offsets() const {
  std::vector<uint64_t> offsets;
  std::ranges::copy_if(table_, std::back_inserter(offsets), [](uint64_t o) { return o != 0; });
  return offsets;
}

uint64_t Refcounts::block_entries() const {
  return header_.cluster_bytes() * 8 >> header_.refcount_order;
}

// Counts of less than a byte fill each byte from its low bits on.
uint64_t Refcounts::get(const Block& block, uint64_t index) const {
  const std::span<const std::byte> bytes(block.bytes);
  switch (header_.refcount_order) {
    case 3:
      return qcow2::load<uint8_t>(bytes, index);
    case 4:
      return qcow2::load<uint16_t>(bytes, index * 2);
    case 5:
      return qcow2::load<uint32_t>(bytes, index * 4);
    case 6:
      return qcow2::load<uint64_t>(bytes, index * 8);
    default:
      break;
  }
  const unsigned bits = 1U << header_.refcount_order;
  const uint64_t bit = index * bits;
  return std::to_integer<unsigned>(bytes[bit / 8]) >> (bit % 8) & ((1U << bits) - 1);
}

void Refcounts::set(Block& block, uint64_t index, uint64_t count) {
  const std::span<std::byte> bytes(block.bytes);
  block.dirty = dirty_ = true;
  switch (header_.refcount_order) {
    case 3:
      return store<uint8_t>(bytes, index, static_cast<uint8_t>(count));
    case 4:
      return store<uint16_t>(bytes, index * 2, static_cast<uint16_t>(count));
    case 5:
      return store<uint32_t>(bytes, index * 4, static_cast<uint32_t>(count));
    case 6:
      return store<uint64_t>(bytes, index * 8, count);
    default:
      break;
  }
  const unsigned bits = 1U << header_.refcount_order;
  const uint64_t bit = index * bits;
  const unsigned shift = bit % 8;
  const unsigned mask = ((1U << bits) - 1) << shift;
  const auto old = std::to_integer<unsigned>(bytes[bit / 8]);
  bytes[bit / 8] = static_cast<std::byte>((old & ~mask) | (static_cast<unsigned>(count) << shift));
}

Refcounts::Found Refcounts::block_of(uint64_t cluster) {
  const uint64_t place = cluster / block_entries();
  if (const auto known = blocks_.find(place); known != blocks_.end()) return &known->second;
  if (place >= table_.size() || table_[place] == 0) return nullptr;
  forget_clean_blocks();
  Block block{table_[place] & kOffsetMask, std::vector<std::byte>(header_.cluster_bytes())};
  if (const auto error = file_.read(block.offset, block.bytes)) return error;
  return &blocks_.emplace(place, std::move(block)).first->second;
}

void Refcounts::forget_clean_blocks() {
  if (blocks_.size() * header_.cluster_bytes() < kMaxCacheBytes) return;
  std::erase_if(blocks_, [](const auto& block) { return !block.second.dirty; });
}

std::variant<uint64_t, std::error_code> Refcounts::count(uint64_t cluster) {
  const auto found = block_of(cluster);
  if (const auto* error = std::get_if<std::error_code>(&found)) return *error;
  const Block* block = std::get<Block*>(found);
  return block == nullptr ? 0 : get(*block, cluster % block_entries());
}

void Refcounts::set_count(uint64_t cluster, uint64_t count) {
  const auto known = blocks_.find(cluster / block_entries());
  assert(known != blocks_.end());
  set(known->second, cluster % block_entries(), count);
}

// No cluster in the range of the new block is in use, as there was no block: it takes the first.
Refcounts::Found Refcounts::make_block(uint64_t cluster) {
  const uint64_t place = cluster / block_entries();
  if (place >= table_.size()) {
    if (const auto error = grow_table(cluster)) return error;
    return block_of(cluster);
  }
  const uint64_t own = place * block_entries();
  Block block{own << header_.cluster_bits, std::vector<std::byte>(header_.cluster_bytes())};
  block.fresh = true;
  table_[place] = block.offset;
  table_dirty_ = true;
  Block& kept = blocks_.emplace(place, std::move(block)).first->second;
  set(kept, own % block_entries(), 1);
  return &kept;
}

std::variant<uint64_t, std::error_code> Refcounts::allocate() {
  if (const auto error = turn_header()) return error;
  for (uint64_t cluster = first_free_;; ++cluster) {
    if (cluster << header_.cluster_bits > kOffsetMask - header_.cluster_bytes()) return no_space();
    auto found = block_of(cluster);
    if (auto* block = std::get_if<Block*>(&found); block != nullptr && *block == nullptr) {
      found = make_block(cluster);
    }
    if (const auto* error = std::get_if<std::error_code>(&found)) return *error;
    Block& block = *std::get<Block*>(found);
    if (get(block, cluster % block_entries()) != 0) continue;
    set(block, cluster % block_entries(), 1);
    first_free_ = cluster + 1;
    return cluster << header_.cluster_bits;
  }
}

void Refcounts::take_back(uint64_t offset) {
  const uint64_t cluster = header_.cluster_of(offset);
  const auto found = block_of(cluster);
  Block* const* block = std::get_if<Block*>(&found);
  if (block == nullptr || *block == nullptr) return;  // unreadable: only a leak
  set(**block, cluster % block_entries(), 0);
  first_free_ = std::min(first_free_, cluster);
}

std::error_code Refcounts::release_pending() {
  while (!pending_.empty()) {
    const uint64_t cluster = pending_.back();
    const auto found = block_of(cluster);
    if (const auto* error = std::get_if<std::error_code>(&found)) return *error;
    pending_.pop_back();
    Block* block = std::get<Block*>(found);
    const uint64_t count = block == nullptr ? 0 : get(*block, cluster % block_entries());
    if (count == 0) continue;  // already free
    set(*block, cluster % block_entries(), count - 1);
    if (count > 1) continue;
    file_.punch(cluster << header_.cluster_bits, header_.cluster_bytes());
    first_free_ = std::min(first_free_, cluster);
  }
  return {};
}

// Writes blocks before the table that refers to them, which must never refer to undefined data.
std::error_code Refcounts::write_back() {
  if (const auto error = turn_header()) return error;
  for (auto& [place, block] : blocks_) {
    if (!block.dirty) continue;
    if (const auto error = file_.write(block.offset, std::span<const std::byte>(block.bytes))) {
      return error;
    }
    block.dirty = false;
    fresh_unsynced_ |= std::exchange(block.fresh, false);
  }
  if (table_dirty_) {
    if (fresh_unsynced_) {
      if (const auto error = file_.sync()) return error;
      fresh_unsynced_ = false;
    }
    if (const auto error = file_.write_entries(table_offset_, table_)) return error;
    table_dirty_ = false;
  }
  dirty_ = false;
  return {};
}

// Points the header to the table, if it may still point to the previous one. A failed write may
// have reached the disk all the same, so until one succeeds the next program that opens the image
// may see either table. Meanwhile nothing is allocated, as each table's own clusters look free in
// the other, and nothing is written that only one of them counts.
std::error_code Refcounts::turn_header() {
  if (!header_is_stale_) return {};
  std::vector<std::byte> pointer(12);
  store<uint64_t>(pointer, 0, table_offset_);
  store<uint32_t>(pointer, 8, static_cast<uint32_t>(table_clusters()));
  if (const auto error = file_.write(kRefcountTableOffsetAt, std::span<const std::byte>(pointer))) {
    return error;
  }
  if (const auto error = file_.sync()) return error;
  header_is_stale_ = false;
  return {};
}

// The new table and the blocks that count it lie after all clusters in use. One write switches the
// header to it, once all of it is on the disk.
std::error_code Refcounts::grow_table(uint64_t cluster) {
  const uint64_t entries_per_cluster = header_.l2_entries();
  const uint64_t start = std::max(cluster, table_.size() * block_entries());
  const uint64_t first_new = start / block_entries();
  uint64_t last_new = first_new;
  uint64_t clusters = 0;
  for (uint64_t needed = first_new; needed >= last_new;) {
    last_new = needed;
    const uint64_t places = std::max<uint64_t>(2 * table_.size(), last_new + 1);
    clusters = (places + entries_per_cluster - 1) / entries_per_cluster;
    const uint64_t end = start + clusters + (last_new - first_new + 1);
    needed = (end - 1) / block_entries();
    if (needed == last_new) break;
  }
  if (clusters << header_.cluster_bits > kMaxRefcountTableBytes) return no_space();

  const uint64_t old_offset = table_offset_;
  const uint64_t old_clusters = table_clusters();
  std::vector<uint64_t> old_table = table_;
  table_.resize(clusters * entries_per_cluster);
  const uint64_t blocks = last_new - first_new + 1;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t offset = (start + clusters + i) << header_.cluster_bits;
    Block block{offset, std::vector<std::byte>(header_.cluster_bytes())};
    table_[first_new + i] = offset;
    blocks_.insert_or_assign(first_new + i, std::move(block));
  }
  for (uint64_t used = start; used < start + clusters + blocks; ++used) set_count(used, 1);
  table_offset_ = start << header_.cluster_bits;
  table_dirty_ = true;

  std::error_code error = write_back();
  if (!error) error = file_.sync();
  if (error) {
    // Go back: nothing on the disk refers to the new table. Changes of the old table are dirty
    // again, as they may have been written only to the new one.
    table_ = std::move(old_table);
    table_offset_ = old_offset;
    table_dirty_ = dirty_ = true;
    for (uint64_t i = 0; i < blocks; ++i) blocks_.erase(first_new + i);
    return error;
  }
  header_is_stale_ = true;
  for (uint64_t i = 0; i < old_clusters; ++i) {
    release_later(old_offset + (i << header_.cluster_bits));
  }
  return turn_header();
}

}  // namespace vmm::backend::qcow2
