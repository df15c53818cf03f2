// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/qid.hpp"

#include <dirent.h>

#include "ninep/protocol.hpp"

namespace vmm::ninep {
namespace {

constexpr unsigned kInodeBits = 48;
constexpr uint64_t kMaxDevices = 1 << 15;
constexpr uint64_t kHashed = 1ULL << 63;

// Spreads every bit over the result (the finaliser of 64-bit MurmurHash3).
uint64_t mixed(uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccdULL;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return value ^ value >> 33;
}

uint8_t type_of(mode_t mode) {
  if (S_ISDIR(mode)) return kQidDirectory;
  return S_ISLNK(mode) ? kQidSymlink : kQidFile;
}

}  // namespace

void put(Writer& out, const Qid& qid) {
  out.put(qid.type);
  out.put(qid.version);
  out.put(qid.path);
}

Qid QidMaker::of(const struct stat& info) {
  const auto change = static_cast<uint64_t>(info.st_ctim.tv_sec) * 1'000'000'000 +
                      static_cast<uint64_t>(info.st_ctim.tv_nsec);
  const uint64_t version = mixed(change ^ mixed(static_cast<uint64_t>(info.st_size)));
  return {type_of(info.st_mode), static_cast<uint32_t>(version), path(info.st_dev, info.st_ino)};
}

Qid QidMaker::of_entry(dev_t device, ino_t inode, uint8_t type) {
  const mode_t mode = DTTOIF(type);
  return {type_of(mode), 0, path(device, inode)};
}

uint64_t QidMaker::path(dev_t device, ino_t inode) {
  const auto known = devices_.find(device);
  if (known == devices_.end() && devices_.size() == kMaxDevices) {
    return kHashed | mixed(inode ^ mixed(device));
  }
  const uint64_t number = known != devices_.end()
                              ? known->second
                              : devices_.emplace(device, devices_.size()).first->second;
  // File systems that stack others use the high bits themselves.
  if (inode >> kInodeBits != 0) return kHashed | mixed(inode ^ mixed(number));
  return number << kInodeBits | inode;
}

}  // namespace vmm::ninep
