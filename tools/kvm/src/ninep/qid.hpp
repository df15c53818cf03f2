// SPDX-License-Identifier: GPL-2.0-only
//
// A qid names a file for as long as it exists; the guest's kernel uses it as the inode number. A
// share may span several file systems of the host, so a qid includes a number for the device: small
// numbers in the order in which devices are found. Owned by the server, called on its thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <unordered_map>

#include "ninep/wire.hpp"

namespace vmm::ninep {

struct Qid {
  uint8_t type;
  uint32_t version;  // changes with the file
  uint64_t path;
};

void put(Writer& out, const Qid& qid);

class QidMaker {
 public:
  Qid of(const struct stat& info);

  // The qid of a directory entry, from the fields that readdir returns.
  Qid of_entry(dev_t device, ino_t inode, uint8_t type);

 private:
  uint64_t path(dev_t device, ino_t inode);

  std::unordered_map<dev_t, uint64_t> devices_;
};

}  // namespace vmm::ninep
