// SPDX-License-Identifier: GPL-2.0-only
//
// The guest's fids: its names for places in the share. A fid holds an O_PATH descriptor, so it
// stays with its file when that is renamed, and a second descriptor once the guest has opened it.
// Owned by the server and called on its thread; emptied when the guest starts a session or resets
// the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/unique_fd.hpp"
#include "ninep/errno.hpp"
#include "ninep/share.hpp"

namespace vmm::ninep {

struct Fid {
  std::shared_ptr<const Place> place;  // shared by clones
  uint32_t uid;                        // the guest's user that attached
  base::UniqueFd file = {};            // set once opened
  bool at_root = false;

  const Place& at() const { return *place; }
};

class FidTable {
 public:
  static constexpr size_t kMaxFids = 1 << 20;

  Fid* find(uint32_t id);
  // EBADF if the fid is in use, EMFILE if there are too many.
  Errno add(uint32_t id, Fid fid);
  // False if there is no such fid.
  bool remove(uint32_t id) { return fids_.erase(id) != 0; }
  void clear() { fids_.clear(); }
  size_t size() const { return fids_.size(); }

 private:
  std::unordered_map<uint32_t, Fid> fids_;
};

}  // namespace vmm::ninep
