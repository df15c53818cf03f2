// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <limits>
#include <utility>
#include <vector>

#include "ninep/call.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {

using base::UniqueFd;

namespace {

// The guest handles append itself and gives every write its offset: the host's O_APPEND would
// ignore offsets, and put pages that the guest writes back late at the end.
int host_flags(uint32_t flags) {
  int wanted = O_RDONLY;
  if ((flags & kOpenAccess) == kOpenWriteOnly) wanted = O_WRONLY;
  if ((flags & kOpenAccess) == kOpenReadWrite) wanted = O_RDWR;
  if (flags & kOpenTruncate) wanted |= O_TRUNC;
  if (flags & kOpenDirectory) wanted |= O_DIRECTORY;
  if (flags & kOpenDataSync) wanted |= O_DSYNC;
  if ((flags & kOpenSync) == kOpenSync) wanted |= O_SYNC;
  return wanted;
}

// The answer to lopen and lcreate: the qid, and 0 for "as much as fits in a message".
Errno answer_opened(Call& call, int fd) {
  struct stat info {};
  if (fstat(fd, &info) < 0) return last_errno();
  put(call.out, call.qids.of(info));
  call.out.put(uint32_t{0});
  return kOk;
}

std::vector<iovec> first_bytes(std::span<const iovec> buffers, uint64_t count) {
  std::vector<iovec> first;
  for (const iovec& buffer : buffers) {
    if (count == 0) break;
    const size_t step = std::min<uint64_t>(count, buffer.iov_len);
    first.push_back({buffer.iov_base, step});
    count -= step;
  }
  return first;
}

void skip_bytes(std::span<iovec>& buffers, size_t count) {
  while (!buffers.empty() && count >= buffers.front().iov_len) {
    count -= buffers.front().iov_len;
    buffers = buffers.subspan(1);
  }
  if (buffers.empty()) return;
  iovec& partial = buffers.front();
  partial.iov_base = static_cast<std::byte*>(partial.iov_base) + count;
  partial.iov_len -= count;
}

uint32_t total(std::span<const iovec> buffers) {
  uint64_t bytes = 0;
  for (const iovec& buffer : buffers) bytes += buffer.iov_len;
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, kMaxMessageBytes));
}

bool is_range(uint64_t offset, uint32_t count) {
  return offset <= static_cast<uint64_t>(std::numeric_limits<off_t>::max()) - count;
}

// Repeats `transfer` until it is complete, the file ends, or it fails; an error counts only when no
// bytes were transferred before.
template <class Transfer>
Result<uint32_t> transfer_all(std::vector<iovec> buffers, uint64_t offset, Transfer transfer) {
  std::span<iovec> rest(buffers);
  uint32_t done = 0;
  while (!rest.empty()) {
    const int count = static_cast<int>(std::min<size_t>(rest.size(), IOV_MAX));
    const ssize_t step = transfer(rest.data(), count, static_cast<off_t>(offset + done));
    if (step < 0 && errno == EINTR) continue;
    if (step < 0 && done == 0) return last_errno();
    if (step <= 0) break;
    done += static_cast<uint32_t>(step);
    skip_bytes(rest, static_cast<size_t>(step));
  }
  return done;
}

// Creates a file, or opens an existing one unless the guest excludes that.
Result<OpenFile> create_or_open(Call& call, const Fid& folder, const std::string& name,
                                uint32_t flags, mode_t mode, uint32_t gid) {
  const int wanted = host_flags(flags);
  auto created = call.share.create(folder.at(), name, wanted, mode, {folder.uid, gid});
  const Errno* failed = std::get_if<Errno>(&created);
  if (failed == nullptr || failed->value != EEXIST || (flags & kOpenExclusive)) return created;
  auto found = call.share.child(folder.at(), name);
  if (const Errno* lost = std::get_if<Errno>(&found)) return *lost;
  Place& place = std::get<Place>(found);
  auto opened = call.share.open(place, wanted);
  if (const Errno* refused = std::get_if<Errno>(&opened)) return *refused;
  return OpenFile{std::move(place), std::move(std::get<UniqueFd>(opened))};
}

}  // namespace

Errno lopen(Call& call) {
  Fid* fid = call.take_fid();
  const auto flags = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || fid->file) return {EBADF};
  auto opened = call.share.open(fid->at(), host_flags(flags));
  if (const Errno* failed = std::get_if<Errno>(&opened)) return *failed;
  const int fd = std::get<UniqueFd>(opened).get();
  if (const Errno failed = answer_opened(call, fd)) return failed;
  fid->file = std::move(std::get<UniqueFd>(opened));
  return kOk;
}

Errno lcreate(Call& call) {
  Fid* fid = call.take_fid();
  const std::string name = call.in.take_string();
  const auto flags = call.in.take<uint32_t>();
  const auto mode = call.in.take<uint32_t>();
  const auto gid = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || fid->file) return {EBADF};
  auto opened = create_or_open(call, *fid, name, flags, mode & 07777, gid);
  if (const Errno* failed = std::get_if<Errno>(&opened)) return *failed;
  auto& [place, file] = std::get<OpenFile>(opened);
  if (const Errno failed = answer_opened(call, file.get())) return failed;
  fid->place = std::make_shared<const Place>(std::move(place));
  fid->file = std::move(file);
  fid->at_root = false;
  return kOk;
}

Errno read(Call& call) {
  const Fid* fid = call.take_fid();
  const auto offset = call.in.take<uint64_t>();
  const auto wanted = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  const uint32_t room = call.room - (kReadHeaderBytes - kHeaderBytes);
  const uint32_t count = std::min({wanted, room, total(call.from_file)});
  if (!is_range(offset, count)) return {EINVAL};
  const auto done = transfer_all(
      first_bytes(call.from_file, count), offset,
      [&](const iovec* to, int n, off_t at) { return preadv(fid->file.get(), to, n, at); });
  if (const Errno* failed = std::get_if<Errno>(&done)) return *failed;
  call.data_bytes = std::get<uint32_t>(done);
  call.out.put(call.data_bytes);
  return kOk;
}

Errno write(Call& call) {
  const Fid* fid = call.take_fid();
  const auto offset = call.in.take<uint64_t>();
  const auto count = call.in.take<uint32_t>();
  if (!call.in.ok() || count > total(call.to_file)) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  if (call.share.read_only()) return {EROFS};
  if (!is_range(offset, count)) return {EFBIG};
  const auto done = transfer_all(
      first_bytes(call.to_file, count), offset,
      [&](const iovec* from, int n, off_t at) { return pwritev(fid->file.get(), from, n, at); });
  if (const Errno* failed = std::get_if<Errno>(&done)) return *failed;
  call.out.put(std::get<uint32_t>(done));
  return kOk;
}

Errno fsync(Call& call) {
  const Fid* fid = call.take_fid();
  const auto data_only = call.in.take<uint32_t>();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  UniqueFd file(fcntl(fid->file.get(), F_DUPFD_CLOEXEC, 0));
  if (!file) return last_errno();
  call.sync = Sync{std::move(file), data_only != 0};
  return kOk;
}

// The guest's kernel has resolved the lock among the guest's processes, and the host is not asked:
// a lock of the VMM could not distinguish two opens by one process from two processes.
Errno lock(Call& call) {
  const Fid* fid = call.take_fid();
  if (!call.in.ok()) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  call.out.put(kLockSuccess);
  return kOk;
}

Errno getlock(Call& call) {
  const Fid* fid = call.take_fid();
  call.in.take<uint8_t>();
  const auto start = call.in.take<uint64_t>();
  const auto length = call.in.take<uint64_t>();
  const auto process = call.in.take<uint32_t>();
  const std::string client = call.in.take_string();
  if (!call.in.ok() || client.size() > kMaxNameBytes) return {EINVAL};
  if (fid == nullptr || !fid->file) return {EBADF};
  call.out.put(kLockUnlocked);
  call.out.put(start);
  call.out.put(length);
  call.out.put(process);
  call.out.put_string(client);
  return kOk;
}

}  // namespace vmm::ninep
