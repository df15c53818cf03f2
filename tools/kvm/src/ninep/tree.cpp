// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "ninep/call.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {

namespace {

constexpr size_t kListingBytes = 32 * 1024;
constexpr size_t kEntryBytes = kQidBytes + 8 + 1 + 2;  // without its name

struct Entry {
  ino_t inode;
  off_t next;  // the offset of the entry after it
  uint8_t type;
  std::string_view name;
};

// Calls `visit` for each entry of a getdents64(2) buffer until it returns false.
template <class Visit>
void for_each_entry(std::span<const std::byte> listing, Visit visit) {
  constexpr size_t kName = offsetof(dirent64, d_name);
  while (!listing.empty()) {
    dirent64 head{};
    std::memcpy(&head, listing.data(), kName);
    const auto* name = reinterpret_cast<const char*>(listing.data()) + kName;
    if (!visit({head.d_ino, head.d_off, head.d_type, name})) return;
    listing = listing.subspan(head.d_reclen);
  }
}

// Puts as many entries as fit into `room`; EINVAL if not even the first does.
Errno put_entries(Call& call, const Fid& fid, std::span<const std::byte> listing, size_t room) {
  struct stat folder {};
  if (fstat(fid.at().get(), &folder) < 0) return last_errno();
  const size_t begin = call.out.size();
  bool too_small = false;
  for_each_entry(listing, [&](const Entry& entry) {
    if (call.out.size() - begin + kEntryBytes + entry.name.size() > room) {
      too_small = call.out.size() == begin;
      return false;
    }
    // The guest must not see the root's parent.
    const bool above = fid.at_root && entry.name == "..";
    const ino_t inode = above ? folder.st_ino : entry.inode;
    put(call.out, call.qids.of_entry(folder.st_dev, inode, entry.type));
    call.out.put(static_cast<uint64_t>(entry.next));
    call.out.put(entry.type);
    call.out.put_string(entry.name);
    return true;
  });
  return too_small ? Errno{EINVAL} : kOk;
}

// The answer to all requests that create a file: its qid.
Errno answer_made(Call& call, const Result<Place>& place) {
  if (const Errno* failed = std::get_if<Errno>(&place)) return *failed;
  struct stat info {};
  if (fstat(std::get<Place>(place).get(), &info) < 0) return last_errno();
  put(call.out, call.qids.of(info));
  return kOk;
}

}  // namespace

Errno readdir(Call& call) {
  const Fid* fid = call.take_fid();
  const auto offset = call.in.take<uint64_t>();
  const auto wanted = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  if (lseek(fid->file.get(), static_cast<off_t>(offset), SEEK_SET) < 0) return last_errno();
  const size_t room = std::min<size_t>(wanted, call.room - sizeof(uint32_t));
  // Read about as much as fits, as the rest would be read again.
  std::vector<std::byte> listing(std::clamp<size_t>(room, 512, kListingBytes));
  const ssize_t got = getdents64(fid->file.get(), listing.data(), listing.size());
  if (got < 0) return last_errno();
  const size_t count_at = call.out.size();
  call.out.put(uint32_t{0});
  const auto entries = std::span(listing).first(static_cast<size_t>(got));
  if (const Errno failed = put_entries(call, *fid, entries, room)) return failed;
  call.out.set_u32(count_at, static_cast<uint32_t>(call.out.size() - count_at - sizeof(uint32_t)));
  return kOk;
}

Errno mkdir(Call& call) {
  const Fid* folder = call.take_fid();
  const std::string name = call.in.take_string();
  const auto mode = call.in.take<uint32_t>();
  const auto gid = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (folder == nullptr) return {EBADF};
  return answer_made(call, call.share.make_folder(folder->at(), name, mode, {folder->uid, gid}));
}

Errno symlink(Call& call) {
  const Fid* folder = call.take_fid();
  const std::string name = call.in.take_string();
  const std::string target = call.in.take_string();
  const auto gid = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (folder == nullptr) return {EBADF};
  return answer_made(call, call.share.make_symlink(folder->at(), name, target, {folder->uid, gid}));
}

Errno mknod(Call& call) {
  const Fid* folder = call.take_fid();
  const std::string name = call.in.take_string();
  const auto mode = call.in.take<uint32_t>();
  call.in.take<uint32_t>();  // major and minor: devices are refused
  call.in.take<uint32_t>();
  const auto gid = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (folder == nullptr) return {EBADF};
  return answer_made(call, call.share.make_node(folder->at(), name, mode, {folder->uid, gid}));
}

Errno link(Call& call) {
  const Fid* folder = call.take_fid();
  const Fid* target = call.take_fid();
  const std::string name = call.in.take_string();
  if (!call.in.ok()) return {EINVAL};
  if (folder == nullptr || target == nullptr) return {EBADF};
  return call.share.link(target->at(), folder->at(), name);
}

Errno renameat(Call& call) {
  const Fid* from = call.take_fid();
  const std::string name = call.in.take_string();
  const Fid* to = call.take_fid();
  const std::string new_name = call.in.take_string();
  if (!call.in.ok()) return {EINVAL};
  if (from == nullptr || to == nullptr) return {EBADF};
  return call.share.rename(from->at(), name, to->at(), new_name);
}

Errno unlinkat(Call& call) {
  const Fid* folder = call.take_fid();
  const std::string name = call.in.take_string();
  const auto flags = call.in.take<uint32_t>();
  if (!call.in.ok() || (flags & ~kUnlinkDirectory) != 0) return {EINVAL};
  if (folder == nullptr) return {EBADF};
  return call.share.unlink(folder->at(), name, (flags & kUnlinkDirectory) != 0);
}

}  // namespace vmm::ninep
