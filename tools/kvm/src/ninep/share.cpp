// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/share.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {

using base::UniqueFd;

namespace {

constexpr uint64_t kSafeResolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
// Descriptors that the rest of the VMM may still need.
constexpr rlim_t kReservedDescriptors = 64;

int open_beneath(int folder, const std::string& name, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = kSafeResolve;
  if ((flags & O_CREAT) != 0) how.mode = mode;
  int fd;
  do {
    fd = static_cast<int>(syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
  } while (fd < 0 && errno == EINTR);
  return fd;
}

Errno check_name(const std::string& name) {
  if (name.empty() || name == "." || name == "..") return {EINVAL};
  if (name.size() > kMaxNameBytes) return {ENAMETOOLONG};
  const bool bad = name.find('/') != std::string::npos || name.find('\0') != std::string::npos;
  return bad ? Errno{EINVAL} : kOk;
}

// A guest has no business leaving programs on the host that run as their owner.
mode_t safe_mode(mode_t mode, bool directory) { return mode & (directory ? 07777U : 01777U); }

UniqueFd open_folder(const std::string& path, const std::string& role, const std::string& mend) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd) return fd;
  throw base::ConfigError(role + " " + path + ": " + std::strerror(errno) + "; " + mend);
}

// Only root can give files away; what can't be given stays the VMM's user's.
void give(int place, Owner owner) {
  static_cast<void>(fchownat(place, "", owner.uid, owner.gid, AT_EMPTY_PATH));
}

int highest_descriptor() {
  rlimit limit{};
  base::check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit(RLIMIT_NOFILE)");
  const rlim_t most = std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max());
  return static_cast<int>(most > 2 * kReservedDescriptors ? most - kReservedDescriptors : most / 2);
}

}  // namespace

Share::Share(const std::string& path, bool read_only)
    : root_(open_folder(path, "share", "name a folder that this user may read")),
      own_descriptors_(open_folder("/proc/self/fd", "share " + path + " needs", "mount /proc")),
      read_only_(read_only),
      max_descriptor_(highest_descriptor()) {
  const UniqueFd probe(open_beneath(root_.get(), ".", O_PATH | O_NOFOLLOW, 0));
  if (!probe) {
    throw base::ConfigError("share " + path + ": openat2: " + std::strerror(errno) +
                            "; a share needs Linux 5.6, and a sandbox that allows openat2(2)");
  }
  if (!read_only && faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) < 0) {
    throw base::ConfigError("share " + path + ": " + std::strerror(errno) +
                            "; make it writable for this user, or share it read-only");
  }
}

// The limit on descriptors is the guest's to reach, and ours to keep working at.
Result<UniqueFd> Share::kept(UniqueFd fd) const {
  if (!fd) return last_errno();
  if (fd.get() >= max_descriptor_) return Errno{EMFILE};
  return fd;
}

Result<UniqueFd> Share::root() const {
  return kept(UniqueFd(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0)));
}

Result<UniqueFd> Share::child(int folder, const std::string& name) const {
  if (const Errno bad = check_name(name)) return bad;
  return kept(UniqueFd(open_beneath(folder, name, O_PATH | O_NOFOLLOW, 0)));
}

// What a descriptor stands for is settled, so nothing can be put in its place meanwhile.
Result<UniqueFd> Share::reopen(int place, int flags) const {
  struct stat info {};
  if (fstat(place, &info) < 0) return last_errno();
  if (S_ISLNK(info.st_mode)) return Errno{ELOOP};
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return Errno{ENXIO};
  const int all = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  return kept(UniqueFd(openat(own_descriptors_.get(), std::to_string(place).c_str(), all)));
}

Result<UniqueFd> Share::open(int place, int flags) const {
  const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  if (changes && read_only_) return Errno{EROFS};
  return reopen(place, flags);
}

Errno Share::check_change(const std::string& name) const {
  if (read_only_) return {EROFS};
  return check_name(name);
}

Result<UniqueFd> Share::create(int folder, const std::string& name, int flags, mode_t mode,
                               Owner owner) const {
  if (const Errno bad = check_change(name)) return bad;
  const mode_t wanted = safe_mode(mode, false);
  const int all = flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY;
  auto made = kept(UniqueFd(open_beneath(folder, name, all, wanted)));
  if (const UniqueFd* file = std::get_if<UniqueFd>(&made)) {
    give(file->get(), owner);
    // Our umask is not the guest's, whose kernel has applied its own.
    static_cast<void>(fchmod(file->get(), wanted));
  }
  return made;
}

Result<UniqueFd> Share::made(int folder, const std::string& name, mode_t mode, Owner owner) const {
  auto place = child(folder, name);
  if (const UniqueFd* fd = std::get_if<UniqueFd>(&place)) {
    give(fd->get(), owner);
    if (!S_ISLNK(mode)) static_cast<void>(set_mode(fd->get(), mode & 07777));
  }
  return place;
}

Result<UniqueFd> Share::make_folder(int folder, const std::string& name, mode_t mode,
                                    Owner owner) const {
  if (const Errno bad = check_change(name)) return bad;
  if (mkdirat(folder, name.c_str(), mode & 07777) < 0) return last_errno();
  return made(folder, name, S_IFDIR | (mode & 07777), owner);
}

Result<UniqueFd> Share::make_symlink(int folder, const std::string& name, const std::string& target,
                                     Owner owner) const {
  if (const Errno bad = check_change(name)) return bad;
  if (target.empty() || target.find('\0') != std::string::npos) return Errno{EINVAL};
  if (target.size() > kMaxTargetBytes) return Errno{ENAMETOOLONG};
  if (symlinkat(target.c_str(), folder, name.c_str()) < 0) return last_errno();
  return made(folder, name, S_IFLNK, owner);
}

Result<UniqueFd> Share::make_node(int folder, const std::string& name, mode_t mode,
                                  Owner owner) const {
  if (const Errno bad = check_change(name)) return bad;
  if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode)) return Errno{EPERM};
  const mode_t wanted = (mode & S_IFMT) | safe_mode(mode & 07777, false);
  if (mknodat(folder, name.c_str(), wanted, 0) < 0) return last_errno();
  return made(folder, name, wanted, owner);
}

Errno Share::link(int place, int folder, const std::string& name) const {
  if (const Errno bad = check_change(name)) return bad;
  return result_of(linkat(own_descriptors_.get(), std::to_string(place).c_str(), folder,
                          name.c_str(), AT_SYMLINK_FOLLOW));
}

Errno Share::rename(int from, const std::string& name, int to, const std::string& new_name) const {
  if (const Errno bad = check_change(name)) return bad;
  if (const Errno bad = check_name(new_name)) return bad;
  return result_of(renameat(from, name.c_str(), to, new_name.c_str()));
}

Errno Share::unlink(int folder, const std::string& name, bool directory) const {
  if (const Errno bad = check_change(name)) return bad;
  return result_of(unlinkat(folder, name.c_str(), directory ? AT_REMOVEDIR : 0));
}

Errno Share::set_mode(int place, mode_t mode) const {
  if (read_only_) return {EROFS};
  struct stat info {};
  if (fstat(place, &info) < 0) return last_errno();
  if (S_ISLNK(info.st_mode)) return {EOPNOTSUPP};
  const mode_t wanted = safe_mode(mode, S_ISDIR(info.st_mode));
  return result_of(fchmodat(own_descriptors_.get(), std::to_string(place).c_str(), wanted, 0));
}

Errno Share::set_owner(int place, Owner owner) const {
  if (read_only_) return {EROFS};
  return result_of(fchownat(place, "", owner.uid, owner.gid, AT_EMPTY_PATH));
}

Errno Share::set_size(int place, uint64_t size_bytes) const {
  if (read_only_) return {EROFS};
  if (size_bytes > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) return {EFBIG};
  const auto opened = reopen(place, O_WRONLY);
  if (const Errno* failed = std::get_if<Errno>(&opened)) return *failed;
  return result_of(ftruncate(std::get<UniqueFd>(opened).get(), static_cast<off_t>(size_bytes)));
}

Errno Share::set_times(int place, const timespec (&times)[2]) const {
  if (read_only_) return {EROFS};
  if (utimensat(place, "", times, AT_EMPTY_PATH) == 0) return kOk;
  if (errno != EINVAL) return last_errno();
  // Before Linux 5.8; the same file by another way.
  return result_of(utimensat(own_descriptors_.get(), std::to_string(place).c_str(), times, 0));
}

}  // namespace vmm::ninep
