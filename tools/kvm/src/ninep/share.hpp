// SPDX-License-Identifier: GPL-2.0-only
//
// A folder of the host and what may be done below it. Every step from one file to the next goes by
// a descriptor and one name, through openat2(2) with RESOLVE_BENEATH: no "..", no symbolic link and
// no race with somebody who renames leads out. Places are O_PATH descriptors, which open nothing;
// only regular files and folders are ever opened, so that no FIFO blocks and no device is touched.
// machine/ makes one; the server calls it on the thread of the request. Names are checked here.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <string>

#include "base/unique_fd.hpp"
#include "ninep/errno.hpp"

namespace vmm::ninep {

// Who is to own what is made; kNoId leaves it to the host.
struct Owner {
  uint32_t uid;
  uint32_t gid;
};

class Share {
 public:
  // Throws base::ConfigError with the path and the mend.
  Share(const std::string& path, bool read_only);

  bool read_only() const { return read_only_; }

  // A place; its file may be of any type.
  Result<base::UniqueFd> root() const;
  Result<base::UniqueFd> child(int folder, const std::string& name) const;

  // O_RDONLY, O_WRONLY or O_RDWR, perhaps with O_TRUNC, O_DSYNC, O_SYNC, O_DIRECTORY.
  Result<base::UniqueFd> open(int place, int flags) const;
  // A regular file that was not there.
  Result<base::UniqueFd> create(int folder, const std::string& name, int flags, mode_t mode,
                                Owner owner) const;

  // Each returns the place of what it made.
  Result<base::UniqueFd> make_folder(int folder, const std::string& name, mode_t mode,
                                     Owner owner) const;
  Result<base::UniqueFd> make_symlink(int folder, const std::string& name,
                                      const std::string& target, Owner owner) const;
  // A regular file, FIFO or socket; never a device.
  Result<base::UniqueFd> make_node(int folder, const std::string& name, mode_t mode,
                                   Owner owner) const;

  Errno link(int place, int folder, const std::string& name) const;
  Errno rename(int from, const std::string& name, int to, const std::string& new_name) const;
  Errno unlink(int folder, const std::string& name, bool directory) const;

  Errno set_mode(int place, mode_t mode) const;
  Errno set_owner(int place, Owner owner) const;
  Errno set_size(int place, uint64_t size_bytes) const;
  Errno set_times(int place, const timespec (&times)[2]) const;  // as for utimensat(2)

 private:
  Errno check_change(const std::string& name) const;
  Result<base::UniqueFd> kept(base::UniqueFd fd) const;
  Result<base::UniqueFd> reopen(int place, int flags) const;
  Result<base::UniqueFd> made(int folder, const std::string& name, mode_t mode, Owner owner) const;

  base::UniqueFd root_;
  base::UniqueFd own_descriptors_;  // /proc/self/fd
  bool read_only_;
  int max_descriptor_;
};

}  // namespace vmm::ninep
