// SPDX-License-Identifier: GPL-2.0-only
//
// The fsync that a Tfsync requests, as a value: it may take as long as the host's disk, so the
// server returns it with the answer. The device carries it out on a thread that may wait, holding
// no lock, and only then gives the answer, or failed_sync() instead.
#pragma once

#include <unistd.h>

#include <cstdint>

#include "base/unique_fd.hpp"
#include "ninep/errno.hpp"

namespace vmm::ninep {

struct Sync {
  base::UniqueFd file;  // a duplicate, as the guest may close its own meanwhile
  bool data_only = false;
  uint16_t tag = 0;

  Errno carry_out() const {
    return result_of(data_only ? fdatasync(file.get()) : fsync(file.get()));
  }
};

}  // namespace vmm::ninep
