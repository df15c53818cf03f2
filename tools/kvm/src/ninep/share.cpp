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
#include <sstream>

#include "base/error.hpp"
#include "ninep/file_system.hpp"
#include "ninep/protocol.hpp"

namespace vmm::ninep {

using base::UniqueFd;

namespace {

constexpr uint64_t kSafeResolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
// Descriptors that the rest of the VMM may still need.
constexpr rlim_t kReservedDescriptors = 64;

// With RESOLVE_NO_XDEV in `more`, a mount on the way is EXDEV.
int open_beneath(int folder, const std::string& name, int flags, mode_t mode, uint64_t more) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = kSafeResolve | more;
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

// A guest must not create programs on the host that run as their owner.
mode_t safe_mode(mode_t mode, bool directory) { return mode & (directory ? 07777U : 01777U); }

UniqueFd open_folder(const std::string& path, const std::string& role, const std::string& fix) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd) return fd;
  throw base::ConfigError(role + " " + path + ": " + std::strerror(errno) + "; " + fix);
}

// Only root can change a file's owner; otherwise the VMM's user keeps it.
void give(int place, Owner owner) {
  static_cast<void>(fchownat(place, "", owner.uid, owner.gid, AT_EMPTY_PATH));
}

void check_root(int root, const std::string& path) {
  const UniqueFd probe(open_beneath(root, ".", O_PATH | O_NOFOLLOW, 0, 0));
  if (!probe) {
    throw base::ConfigError("share " + path + ": openat2: " + std::strerror(errno) +
                            "; a share needs Linux 5.6, and a sandbox that allows openat2(2)");
  }
  const auto found = file_system_of(root);
  if (const Errno* failed = std::get_if<Errno>(&found)) {
    throw base::ConfigError("share " + path + ": statfs: " + std::strerror(failed->value) +
                            "; check the file system");
  }
  const auto& file_system = std::get<FileSystem>(found);
  if (file_system.holds_files) return;
  std::ostringstream type;
  type << "0x" << std::hex << file_system.type;
  throw base::ConfigError("share " + path + ": its file system (type " + type.str() +
                          ") is none for files, but shows the host's kernel or is unknown; share "
                          "a folder that holds files");
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
  check_root(root_.get(), path);
  if (!read_only && faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) < 0) {
    throw base::ConfigError("share " + path + ": " + std::strerror(errno) +
                            "; make it writable for this user, or share it read-only");
  }
}

// A guest can reach the limit on descriptors, so the VMM must keep working there.
Result<UniqueFd> Share::kept(UniqueFd fd) const {
  if (!fd) return last_errno();
  if (fd.get() >= max_descriptor_) return Errno{EMFILE};
  return fd;
}

// Whether there is room for a descriptor, checked before a file is created or truncated: "too many
// files" must leave everything unchanged. Another thread may take the last place meanwhile; the new
// descriptor is kept then, as the reserve is for one descriptor per share.
Errno Share::check_room() const {
  const auto spare = kept(UniqueFd(fcntl(own_descriptors_.get(), F_DUPFD_CLOEXEC, 0)));
  const Errno* none = std::get_if<Errno>(&spare);
  return none == nullptr ? kOk : *none;
}

Result<Place> Share::root() const {
  auto fd = kept(UniqueFd(fcntl(root_.get(), F_DUPFD_CLOEXEC, 0)));
  if (const Errno* failed = std::get_if<Errno>(&fd)) return *failed;
  return Place{std::move(std::get<UniqueFd>(fd))};
}

// Only a step onto a mount can lead to another file system, so only that is checked.
Result<Place> Share::child(const Place& folder, const std::string& name) const {
  if (const Errno bad = check_name(name)) return bad;
  if (folder.closed) return Errno{EACCES};
  constexpr int kFlags = O_PATH | O_NOFOLLOW;
  UniqueFd fd(open_beneath(folder.get(), name, kFlags, 0, RESOLVE_NO_XDEV));
  const bool crosses = !fd && errno == EXDEV;
  if (crosses) fd = UniqueFd(open_beneath(folder.get(), name, kFlags, 0, 0));
  auto found = kept(std::move(fd));
  if (const Errno* failed = std::get_if<Errno>(&found)) return *failed;
  Place place{std::move(std::get<UniqueFd>(found))};
  if (!crosses) return place;
  const auto file_system = file_system_of(place.get());
  if (const Errno* failed = std::get_if<Errno>(&file_system)) return *failed;
  place.closed = !std::get<FileSystem>(file_system).holds_files;
  return place;
}

// A descriptor always refers to the same file, so nothing can replace it meanwhile.
Result<UniqueFd> Share::reopen(const Place& place, int flags) const {
  if (place.closed) return Errno{EACCES};
  struct stat info {};
  if (fstat(place.get(), &info) < 0) return last_errno();
  if (S_ISLNK(info.st_mode)) return Errno{ELOOP};
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return Errno{ENXIO};
  if (flags & O_TRUNC) {
    if (const Errno full = check_room()) return full;
  }
  const int all = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  UniqueFd fd(openat(own_descriptors_.get(), own_name(place).c_str(), all));
  if (fd && (flags & O_TRUNC)) return fd;
  return kept(std::move(fd));
}

Result<UniqueFd> Share::open(const Place& place, int flags) const {
  const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  if (changes && read_only_) return Errno{EROFS};
  return reopen(place, flags);
}

Errno Share::check_change(const Place& place) const {
  if (read_only_) return {EROFS};
  return place.closed ? Errno{EACCES} : kOk;
}

Errno Share::check_new(const Place& folder, const std::string& name) const {
  if (const Errno bad = check_change(folder)) return bad;
  return check_name(name);
}

Result<OpenFile> Share::create(const Place& folder, const std::string& name, int flags, mode_t mode,
                               Owner owner) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  if (const Errno full = check_room()) return full;
  // Reserve the place's descriptor first, as a duplicate: afterwards there may be none, and the
  // file would remain.
  UniqueFd place(fcntl(own_descriptors_.get(), F_DUPFD_CLOEXEC, 0));
  if (!place) return last_errno();
  const mode_t wanted = safe_mode(mode, false);
  const int all = flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY;
  UniqueFd file(open_beneath(folder.get(), name, all, wanted, 0));
  if (!file) return last_errno();
  give(file.get(), owner);
  // Undo the VMM's umask: the guest's kernel has applied its own.
  static_cast<void>(fchmod(file.get(), wanted));
  // All operations on a place also work on an open file.
  if (dup3(file.get(), place.get(), O_CLOEXEC) < 0) return last_errno();
  return OpenFile{Place{std::move(place)}, std::move(file)};
}

Result<Place> Share::made(const Place& folder, const std::string& name, mode_t mode,
                          Owner owner) const {
  UniqueFd fd(open_beneath(folder.get(), name, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_XDEV));
  if (!fd) return last_errno();
  Place place{std::move(fd)};
  give(place.get(), owner);
  if (!S_ISLNK(mode)) static_cast<void>(set_mode(place, mode & 07777));
  return place;
}

Result<Place> Share::make_folder(const Place& folder, const std::string& name, mode_t mode,
                                 Owner owner) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  if (const Errno full = check_room()) return full;
  if (mkdirat(folder.get(), name.c_str(), mode & 07777) < 0) return last_errno();
  return made(folder, name, S_IFDIR | (mode & 07777), owner);
}

Result<Place> Share::make_symlink(const Place& folder, const std::string& name,
                                  const std::string& target, Owner owner) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  if (target.empty() || target.find('\0') != std::string::npos) return Errno{EINVAL};
  if (target.size() > kMaxTargetBytes) return Errno{ENAMETOOLONG};
  if (const Errno full = check_room()) return full;
  if (symlinkat(target.c_str(), folder.get(), name.c_str()) < 0) return last_errno();
  return made(folder, name, S_IFLNK, owner);
}

Result<Place> Share::make_node(const Place& folder, const std::string& name, mode_t mode,
                               Owner owner) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode)) return Errno{EPERM};
  if (const Errno full = check_room()) return full;
  const mode_t wanted = (mode & S_IFMT) | safe_mode(mode & 07777, false);
  if (mknodat(folder.get(), name.c_str(), wanted, 0) < 0) return last_errno();
  return made(folder, name, wanted, owner);
}

Errno Share::link(const Place& place, const Place& folder, const std::string& name) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  if (place.closed) return {EACCES};
  return result_of(linkat(own_descriptors_.get(), own_name(place).c_str(), folder.get(),
                          name.c_str(), AT_SYMLINK_FOLLOW));
}

Errno Share::rename(const Place& from, const std::string& name, const Place& to,
                    const std::string& new_name) const {
  if (const Errno bad = check_new(from, name)) return bad;
  if (const Errno bad = check_new(to, new_name)) return bad;
  return result_of(renameat(from.get(), name.c_str(), to.get(), new_name.c_str()));
}

Errno Share::unlink(const Place& folder, const std::string& name, bool directory) const {
  if (const Errno bad = check_new(folder, name)) return bad;
  return result_of(unlinkat(folder.get(), name.c_str(), directory ? AT_REMOVEDIR : 0));
}

Errno Share::set_mode(const Place& place, mode_t mode) const {
  if (const Errno bad = check_change(place)) return bad;
  struct stat info {};
  if (fstat(place.get(), &info) < 0) return last_errno();
  if (S_ISLNK(info.st_mode)) return {EOPNOTSUPP};
  const mode_t wanted = safe_mode(mode, S_ISDIR(info.st_mode));
  return result_of(fchmodat(own_descriptors_.get(), own_name(place).c_str(), wanted, 0));
}

Errno Share::set_owner(const Place& place, Owner owner) const {
  if (const Errno bad = check_change(place)) return bad;
  return result_of(fchownat(place.get(), "", owner.uid, owner.gid, AT_EMPTY_PATH));
}

// An open file may be resized whatever its mode is now, and even without a name.
Errno Share::set_size(const Place& place, const UniqueFd& file, uint64_t size_bytes) const {
  if (const Errno bad = check_change(place)) return bad;
  if (size_bytes > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) return {EFBIG};
  const auto size = static_cast<off_t>(size_bytes);
  const int flags = file ? fcntl(file.get(), F_GETFL) : O_RDONLY;
  if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY) return result_of(ftruncate(file.get(), size));
  const auto opened = reopen(place, O_WRONLY);
  if (const Errno* failed = std::get_if<Errno>(&opened)) return *failed;
  return result_of(ftruncate(std::get<UniqueFd>(opened).get(), size));
}

Errno Share::set_times(const Place& place, const timespec (&times)[2]) const {
  if (const Errno bad = check_change(place)) return bad;
  if (utimensat(place.get(), "", times, AT_EMPTY_PATH) == 0) return kOk;
  if (errno != EINVAL) return last_errno();
  // Before Linux 5.8: the same file by its name in /proc/self/fd.
  return result_of(utimensat(own_descriptors_.get(), own_name(place).c_str(), times, 0));
}

}  // namespace vmm::ninep
