// SPDX-License-Identifier: GPL-2.0-only
#include <string>
#include <utility>
#include <vector>

#include "ninep/call.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {

namespace {

std::shared_ptr<const Place> shared(Place place) {
  return std::make_shared<const Place>(std::move(place));
}

// Takes one step; ".." is refused everywhere except at the root, which is its own parent. Linux's
// client finds parents among its own dentries and never asks.
Errno step(Call& call, Fid& at, const std::string& name) {
  if (name == ".." && at.at_root) return kOk;
  auto place = call.share.child(at.at(), name);
  if (const Errno* failed = std::get_if<Errno>(&place)) return *failed;
  at.place = shared(std::move(std::get<Place>(place)));
  at.at_root = false;
  return kOk;
}

// Takes steps until one fails; it is an error only if the first one fails.
Errno take_steps(Call& call, Fid& at, std::span<const std::string> names, std::vector<Qid>& qids) {
  for (const std::string& name : names) {
    struct stat info {};
    Errno failed = step(call, at, name);
    if (!failed) failed = result_of(fstat(at.at().get(), &info));
    if (failed) return qids.empty() ? failed : kOk;
    qids.push_back(call.qids.of(info));
  }
  return kOk;
}

}  // namespace

Errno attach(Call& call) {
  const auto id = call.in.take<uint32_t>();
  const auto auth_fid = call.in.take<uint32_t>();
  call.in.take_string();  // the user's name is ignored, only ids count
  const std::string folder = call.in.take_string();
  const auto uid = call.in.take<uint32_t>();
  if (!call.in.ok() || auth_fid != kNoFid) return {EINVAL};
  if (!folder.empty() && folder != "/") return {ENOENT};
  auto place = call.share.root();
  if (const Errno* failed = std::get_if<Errno>(&place)) return *failed;
  struct stat info {};
  if (fstat(std::get<Place>(place).get(), &info) < 0) return last_errno();
  Fid fid{shared(std::move(std::get<Place>(place))), uid};
  fid.at_root = true;
  if (const Errno failed = call.fids.add(id, std::move(fid))) return failed;
  put(call.out, call.qids.of(info));
  return kOk;
}

Errno walk(Call& call) {
  const auto from_id = call.in.take<uint32_t>();
  const auto to_id = call.in.take<uint32_t>();
  const auto count = call.in.take<uint16_t>();
  if (!call.in.ok() || count > kMaxWalkNames) return {EINVAL};
  std::vector<std::string> names(count);
  for (std::string& name : names) name = call.in.take_string();
  const Fid* from = call.fids.find(from_id);
  if (!call.in.ok()) return {EINVAL};
  if (from == nullptr) return {EBADF};
  if (from_id == to_id && from->file) return {EBUSY};

  Fid to{from->place, from->uid};
  to.at_root = from->at_root;
  std::vector<Qid> qids;
  if (const Errno failed = take_steps(call, to, names, qids)) return failed;
  if (qids.size() == names.size()) {
    if (from_id == to_id) call.fids.remove(to_id);
    if (const Errno failed = call.fids.add(to_id, std::move(to))) return failed;
  }
  call.out.put(static_cast<uint16_t>(qids.size()));
  for (const Qid& qid : qids) put(call.out, qid);
  return kOk;
}

Errno clunk(Call& call) {
  const auto id = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  return call.fids.remove(id) ? kOk : Errno{EBADF};
}

// A fid does not know its name, so it can't be removed, unlike with Tunlinkat. It is only clunked.
Errno remove(Call& call) {
  if (const Errno failed = clunk(call)) return failed;
  return {EOPNOTSUPP};
}

}  // namespace vmm::ninep
