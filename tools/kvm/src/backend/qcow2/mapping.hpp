// SPDX-License-Identifier: GPL-2.0-only
//
// Maps a cluster of the virtual disk to its bytes: the L1 table, kept whole, and L2 tables, read
// when needed. Changes stay in memory until write_back(). Every entry is checked when it is read:
// offsets that are misaligned or outside of the file are errors, not places. Owned by an Image,
// which serialises the calls.
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <variant>
#include <vector>

#include "backend/qcow2/header.hpp"
#include "backend/qcow2/image_file.hpp"
#include "backend/qcow2/refcounts.hpp"

namespace vmm::backend::qcow2 {

// The location of a cluster's bytes.
struct Cluster {
  enum class Kind { kUnallocated, kZero, kData, kCompressed };
  Kind kind = Kind::kUnallocated;
  uint64_t offset = 0;  // in the file; 0 for none. A zero cluster may have one preallocated.
  uint64_t length = 0;  // compressed clusters only; an upper bound

  static Cluster data(uint64_t offset) { return {Kind::kData, offset, 0}; }
  static Cluster zero(uint64_t offset = 0) { return {Kind::kZero, offset, 0}; }
};

class Mapping {
 public:
  Mapping(ImageFile& file, const Header& header) : file_(file), header_(header) {}
  std::error_code load();

  std::variant<Cluster, std::error_code> find(uint64_t cluster);

  // `to` may be of any kind except compressed.
  std::error_code set(uint64_t cluster, const Cluster& to, Refcounts& refcounts);

  // Writes and syncs the L2 tables, then writes the L1 table that refers to new ones.
  std::error_code write_back();
  bool dirty() const { return dirty_; }
  // Whether enough changes wait in memory that they should be written back.
  bool full() const;

  const std::vector<uint64_t>& l1() const { return l1_; }
  // Returns nothing for an invalid entry.
  std::optional<Cluster> decode(uint64_t entry) const;

 private:
  struct Table {
    uint64_t offset;
    std::vector<uint64_t> entries;
    bool dirty = false;
  };
  using Found = std::variant<Table*, std::error_code>;

  Found table_of(uint64_t cluster);
  Found make_table(uint64_t cluster, Refcounts& refcounts);
  bool fills_cache(uint64_t tables) const;
  void forget_clean_tables();

  ImageFile& file_;
  const Header& header_;
  std::vector<uint64_t> l1_;
  bool l1_dirty_ = false;
  std::unordered_map<uint64_t, Table> tables_;  // by index in the L1 table
  uint64_t dirty_tables_ = 0;
  bool dirty_ = false;
};

}  // namespace vmm::backend::qcow2
