// SPDX-License-Identifier: GPL-2.0-only
//
// A folder of the host and the operations below it. Every step from one file to the next uses a
// descriptor and one name, with openat2(2) and RESOLVE_BENEATH: no "..", no symbolic link and no
// race with a rename leads out. Places are O_PATH descriptors, which open nothing; only regular
// files and folders are ever opened, so that no FIFO blocks and no device is touched. A mount of
// /proc, /sys or the like is a closed place: it can be looked up and its attributes read, so that a
// guest can mount its own there, but nothing in it can be reached. machine/ makes one; the server
// calls it on the thread of the request. Names are checked here.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "base/unique_fd.hpp"
#include "ninep/errno.hpp"

namespace vmm::ninep {

// The owner of a new file; with kNoId the host decides.
struct Owner {
  uint32_t uid;
  uint32_t gid;
};

// A reference to a file or folder that survives renames.
struct Place {
  base::UniqueFd fd;
  bool closed = false;  // a mount that exposes the host's kernel: nothing in it can be reached

  int get() const { return fd.get(); }
};

// An open file and its place.
struct OpenFile {
  Place place;
  base::UniqueFd file;
};

class Share {
 public:
  // Throws a base::ConfigError with the path and a hint.
  Share(const std::string& path, bool read_only);

  bool read_only() const { return read_only_; }

  // Return a place; its file may be of any type.
  Result<Place> root() const;
  Result<Place> child(const Place& folder, const std::string& name) const;

  // `flags`: O_RDONLY, O_WRONLY or O_RDWR, perhaps with O_TRUNC, O_DSYNC, O_SYNC, O_DIRECTORY.
  Result<base::UniqueFd> open(const Place& place, int flags) const;
  // Creates a regular file, which must not exist.
  Result<OpenFile> create(const Place& folder, const std::string& name, int flags, mode_t mode,
                          Owner owner) const;

  // Each returns the place of the new file.
  Result<Place> make_folder(const Place& folder, const std::string& name, mode_t mode,
                            Owner owner) const;
  Result<Place> make_symlink(const Place& folder, const std::string& name,
                             const std::string& target, Owner owner) const;
  // Makes a regular file, FIFO or socket; never a device.
  Result<Place> make_node(const Place& folder, const std::string& name, mode_t mode,
                          Owner owner) const;

  Errno link(const Place& place, const Place& folder, const std::string& name) const;
  Errno rename(const Place& from, const std::string& name, const Place& to,
               const std::string& new_name) const;
  Errno unlink(const Place& folder, const std::string& name, bool directory) const;

  Errno set_mode(const Place& place, mode_t mode) const;
  Errno set_owner(const Place& place, Owner owner) const;
  // `file` is the open file of the place, if the guest has it open.
  Errno set_size(const Place& place, const base::UniqueFd& file, uint64_t size_bytes) const;
  Errno set_times(const Place& place, const timespec (&times)[2]) const;  // as for utimensat(2)

 private:
  Errno check_change(const Place& place) const;
  Errno check_new(const Place& folder, const std::string& name) const;
  Errno check_room() const;
  Result<base::UniqueFd> kept(base::UniqueFd fd) const;
  Result<base::UniqueFd> reopen(const Place& place, int flags) const;
  Result<Place> made(const Place& folder, const std::string& name, mode_t mode, Owner owner) const;
  // Its name in /proc/self/fd, which leads to exactly the file that was looked up.
  std::string own_name(const Place& place) const { return std::to_string(place.get()); }

  base::UniqueFd root_;
  base::UniqueFd own_descriptors_;  // /proc/self/fd
  bool read_only_;
  int max_descriptor_;
};

}  // namespace vmm::ninep
