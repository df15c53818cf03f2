// SPDX-License-Identifier: GPL-2.0-only
//
// Counts which clusters of the file are in use, allocates and frees them. Changes stay in memory
// until write_back(), which Image::flush() calls before anything on disk refers to a new cluster; a
// released cluster is free only when nothing on disk refers to it any more. So a crash at any time
// may leak clusters, but never leaves one with two users. Owned by an Image, which serialises the
// calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <system_error>
#include <variant>
#include <vector>

#include "backend/qcow2/header.hpp"
#include "backend/qcow2/image_file.hpp"

namespace vmm::backend::qcow2 {

class Refcounts {
 public:
  // `header` outlives it. load() reads the table; its error is an error of the host.
  Refcounts(ImageFile& file, const Header& header) : file_(file), header_(header) {}
  std::error_code load();

  // Returns the offset of a cluster that is now in use; its content is undefined.
  std::variant<uint64_t, std::error_code> allocate();

  // Frees a cluster at once, if nothing refers to it yet.
  void take_back(uint64_t offset);

  // Frees a cluster that the disk still refers to, at the next release_pending().
  void release_later(uint64_t offset) { pending_.push_back(header_.cluster_of(offset)); }
  std::error_code release_pending();

  std::error_code write_back();
  bool dirty() const { return dirty_ || !pending_.empty(); }

  std::variant<uint64_t, std::error_code> count(uint64_t cluster);

  // Used by the check of all references.
  std::vector<uint64_t> block_offsets() const;
  uint64_t table_offset() const { return table_offset_; }
  uint64_t table_clusters() const;

 private:
  struct Block {
    uint64_t offset;
    std::vector<std::byte> bytes;
    bool dirty = false;
    bool fresh = false;  // the table on disk does not refer to it yet
  };
  using Found = std::variant<Block*, std::error_code>;

  uint64_t block_entries() const;
  uint64_t get(const Block& block, uint64_t index) const;
  void set(Block& block, uint64_t index, uint64_t count);
  void set_count(uint64_t cluster, uint64_t count);  // the cluster's block is loaded

  Found block_of(uint64_t cluster);
  Found make_block(uint64_t cluster);
  std::error_code grow_table(uint64_t cluster);
  std::error_code turn_header();
  void forget_clean_blocks();

  ImageFile& file_;
  const Header& header_;
  uint64_t table_offset_ = 0;
  std::vector<uint64_t> table_;
  bool table_dirty_ = false;
  bool header_is_stale_ = false;      // the header on disk may refer to the previous table
  bool fresh_unsynced_ = false;       // a written block may not be in the table on disk yet
  std::map<uint64_t, Block> blocks_;  // by index in the table
  std::vector<uint64_t> pending_;     // clusters, once for each reference dropped
  uint64_t first_free_ = 0;           // no cluster below it is free
  bool dirty_ = false;
};

}  // namespace vmm::backend::qcow2
