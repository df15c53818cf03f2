// SPDX-License-Identifier: GPL-2.0-only
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "ninep/call.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {
namespace {

void put_time(Writer& out, const timespec& time) {
  out.put(static_cast<uint64_t>(time.tv_sec));
  out.put(static_cast<uint64_t>(time.tv_nsec));
}

struct NewAttributes {
  uint32_t valid;
  uint32_t mode;
  Owner owner;
  uint64_t size;
  timespec times[2];
};

timespec take_time(Reader& in, bool set, bool to_given) {
  const auto seconds = static_cast<time_t>(in.take<uint64_t>());
  const auto nanoseconds = static_cast<long>(in.take<uint64_t>());
  if (!set) return {0, UTIME_OMIT};
  if (!to_given) return {0, UTIME_NOW};
  return {seconds, nanoseconds};
}

NewAttributes take_attributes(Reader& in) {
  NewAttributes given{};
  given.valid = in.take<uint32_t>();
  given.mode = in.take<uint32_t>();
  given.owner.uid = in.take<uint32_t>();
  given.owner.gid = in.take<uint32_t>();
  given.size = in.take<uint64_t>();
  given.times[0] = take_time(in, given.valid & kSetAtime, given.valid & kSetAtimeTo);
  given.times[1] = take_time(in, given.valid & kSetMtime, given.valid & kSetMtimeTo);
  return given;
}

bool is_time(const timespec& time) {
  return time.tv_nsec == UTIME_NOW || time.tv_nsec == UTIME_OMIT ||
         (time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000);
}

}  // namespace

Errno getattr(Call& call) {
  const Fid* fid = call.take_fid();
  call.in.take<uint64_t>();  // the mask: one call gets all of them
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr) return {EBADF};
  struct stat info {};
  if (fstat(fid->at().get(), &info) < 0) return last_errno();
  Writer& out = call.out;
  out.put(uint64_t{kGetattrBasic});
  put(out, call.qids.of(info));
  out.put(uint32_t{info.st_mode});
  out.put(uint32_t{info.st_uid});
  out.put(uint32_t{info.st_gid});
  out.put(static_cast<uint64_t>(info.st_nlink));
  out.put(static_cast<uint64_t>(info.st_rdev));
  out.put(static_cast<uint64_t>(info.st_size));
  out.put(static_cast<uint64_t>(info.st_blksize));
  out.put(static_cast<uint64_t>(info.st_blocks));
  put_time(out, info.st_atim);
  put_time(out, info.st_mtim);
  put_time(out, info.st_ctim);
  put_time(out, {});     // birth
  out.put(uint64_t{0});  // generation
  out.put(uint64_t{0});  // data version
  return kOk;
}

Errno setattr(Call& call) {
  const Fid* fid = call.take_fid();
  const NewAttributes given = take_attributes(call.in);
  if (!call.in.ok() || (given.valid & ~kSetKnown) != 0) return {EINVAL};
  if (fid == nullptr) return {EBADF};
  if (!is_time(given.times[0]) || !is_time(given.times[1])) return {EINVAL};
  const Share& share = call.share;
  if (share.read_only()) return {EROFS};
  // Set the owner first, as that clears bits of the mode, and the times last, as everything else
  // changes them.
  if (given.valid & (kSetUid | kSetGid)) {
    const Owner owner{given.valid & kSetUid ? given.owner.uid : kNoId,
                      given.valid & kSetGid ? given.owner.gid : kNoId};
    if (const Errno failed = share.set_owner(fid->at(), owner)) return failed;
  }
  if (given.valid & kSetMode) {
    if (const Errno failed = share.set_mode(fid->at(), given.mode & 07777)) return failed;
  }
  if (given.valid & kSetSize) {
    if (const Errno failed = share.set_size(fid->at(), fid->file, given.size)) return failed;
  }
  if (given.valid & (kSetAtime | kSetMtime)) return share.set_times(fid->at(), given.times);
  return kOk;
}

Errno statfs(Call& call) {
  const Fid* fid = call.take_fid();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr) return {EBADF};
  struct statfs info {};
  if (fstatfs(fid->at().get(), &info) < 0) return last_errno();
  Writer& out = call.out;
  out.put(kStatfsType);
  out.put(static_cast<uint32_t>(info.f_bsize));
  out.put(static_cast<uint64_t>(info.f_blocks));
  out.put(static_cast<uint64_t>(info.f_bfree));
  out.put(static_cast<uint64_t>(info.f_bavail));
  out.put(static_cast<uint64_t>(info.f_files));
  out.put(static_cast<uint64_t>(info.f_ffree));
  out.put(uint64_t{0});  // the host's file system ids are not shown to the guest
  out.put(static_cast<uint32_t>(info.f_namelen));
  return kOk;
}

Errno readlink(Call& call) {
  const Fid* fid = call.take_fid();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr) return {EBADF};
  std::array<char, kMaxTargetBytes + 1> target;
  const ssize_t length = readlinkat(fid->at().get(), "", target.data(), target.size());
  if (length < 0) return {errno == ENOENT ? EINVAL : errno};  // ENOENT: not a link
  call.out.put_string({target.data(), static_cast<size_t>(length)});
  return kOk;
}

}  // namespace vmm::ninep
