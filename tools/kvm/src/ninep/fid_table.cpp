// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/fid_table.hpp"

#include <utility>

#include "ninep/protocol.hpp"

namespace vmm::ninep {

Fid* FidTable::find(uint32_t id) {
  const auto found = fids_.find(id);
  return found == fids_.end() ? nullptr : &found->second;
}

Errno FidTable::add(uint32_t id, Fid fid) {
  if (id == kNoFid || fids_.contains(id)) return {EBADF};
  if (fids_.size() >= kMaxFids) return {EMFILE};
  fids_.emplace(id, std::move(fid));
  return kOk;
}

}  // namespace vmm::ninep
