// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/mapping.hpp"

#include <cassert>
#include <utility>

#include "backend/qcow2/format.hpp"

namespace vmm::backend::qcow2 {
namespace {

// A table of the usual 64 KiB covers 512 MiB of the disk.
constexpr uint64_t kMaxCacheBytes = 8 << 20;

std::error_code corrupt() { return std::make_error_code(std::errc::io_error); }

}  // namespace

std::error_code Mapping::load() {
  l1_.resize(header_.l1_entries);
  return l1_.empty() ? std::error_code{} : file_.read_entries(header_.l1_offset, l1_);
}

std::optional<Cluster> Mapping::decode(uint64_t entry) const {
  if (entry & kCompressed) {
    // The offset in the file, then the number of further sectors of the compressed bytes.
    const unsigned offset_bits = 62 - (header_.cluster_bits - 8);
    const uint64_t offset = entry & ((1ULL << offset_bits) - 1);
    const uint64_t sectors = (entry & (kCompressed - 1)) >> offset_bits;
    const uint64_t length = (sectors + 1) * kSectorBytes - offset % kSectorBytes;
    if (offset == 0 || offset >= file_.size_bytes()) return std::nullopt;
    return Cluster{Cluster::Kind::kCompressed, offset, length};
  }
  const uint64_t offset = entry & kOffsetMask;
  const bool zero = (entry & kZero) != 0;
  const bool reserved = (entry & ~(kOffsetMask | kCopied | kZero)) != 0;
  if (reserved || (zero && header_.version == 2)) return std::nullopt;
  if (offset % header_.cluster_bytes() != 0) return std::nullopt;
  if (offset != 0 && !zero && offset >= file_.size_bytes()) return std::nullopt;
  if (zero) return Cluster::zero(offset);
  return offset == 0 ? Cluster{} : Cluster::data(offset);
}

Mapping::Found Mapping::table_of(uint64_t cluster) {
  const uint64_t place = cluster / header_.l2_entries();
  assert(place < l1_.size());
  if (const auto known = tables_.find(place); known != tables_.end()) return &known->second;
  if (l1_[place] == 0) return nullptr;
  const uint64_t offset = l1_[place] & kOffsetMask;
  const bool reserved = (l1_[place] & ~(kOffsetMask | kCopied)) != 0;
  if (reserved || offset == 0 || offset % header_.cluster_bytes() != 0) return corrupt();
  if (offset >= file_.size_bytes()) return corrupt();
  forget_clean_tables();
  Table table{offset, std::vector<uint64_t>(header_.l2_entries())};
  if (const auto error = file_.read_entries(offset, table.entries)) return error;
  return &tables_.emplace(place, std::move(table)).first->second;
}

bool Mapping::fills_cache(uint64_t tables) const {
  return tables * header_.cluster_bytes() >= kMaxCacheBytes;
}

// Clean tables do not count, as they can be dropped without a flush.
bool Mapping::full() const { return fills_cache(dirty_tables_); }

void Mapping::forget_clean_tables() {
  if (!fills_cache(tables_.size())) return;
  std::erase_if(tables_, [](const auto& table) { return !table.second.dirty; });
}

std::variant<Cluster, std::error_code> Mapping::find(uint64_t cluster) {
  const auto found = table_of(cluster);
  if (const auto* error = std::get_if<std::error_code>(&found)) return *error;
  const Table* table = std::get<Table*>(found);
  if (table == nullptr) return Cluster{};
  const auto decoded = decode(table->entries[cluster % header_.l2_entries()]);
  if (!decoded) return corrupt();
  return *decoded;
}

Mapping::Found Mapping::make_table(uint64_t cluster, Refcounts& refcounts) {
  const auto offset = refcounts.allocate();
  if (const auto* error = std::get_if<std::error_code>(&offset)) return *error;
  forget_clean_tables();
  const uint64_t place = cluster / header_.l2_entries();
  Table table{std::get<uint64_t>(offset), std::vector<uint64_t>(header_.l2_entries())};
  l1_[place] = table.offset | kCopied;
  l1_dirty_ = true;
  return &tables_.emplace(place, std::move(table)).first->second;
}

std::error_code Mapping::set(uint64_t cluster, const Cluster& to, Refcounts& refcounts) {
  assert(to.kind != Cluster::Kind::kCompressed);
  auto found = table_of(cluster);
  if (auto* table = std::get_if<Table*>(&found); table != nullptr && *table == nullptr) {
    found = make_table(cluster, refcounts);
  }
  if (const auto* error = std::get_if<std::error_code>(&found)) return *error;
  Table& table = *std::get<Table*>(found);
  uint64_t entry = to.offset;
  if (to.offset != 0) entry |= kCopied;
  if (to.kind == Cluster::Kind::kZero) entry |= kZero;
  table.entries[cluster % header_.l2_entries()] = entry;
  if (!std::exchange(table.dirty, true)) ++dirty_tables_;
  dirty_ = true;
  return {};
}

std::error_code Mapping::write_back() {
  for (auto& [place, table] : tables_) {
    if (!table.dirty) continue;
    if (const auto error = file_.write_entries(table.offset, table.entries)) return error;
    table.dirty = false;
    --dirty_tables_;
  }
  if (l1_dirty_) {
    if (const auto error = file_.sync()) return error;
    if (const auto error = file_.write_entries(header_.l1_offset, l1_)) return error;
    l1_dirty_ = false;
  }
  dirty_ = false;
  return {};
}

}  // namespace vmm::backend::qcow2
