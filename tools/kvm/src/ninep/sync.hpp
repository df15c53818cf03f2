// SPDX-License-Identifier: GPL-2.0-only
//
// What a Tfsync asks for, as a value: it may take as long as the host's disk takes, so the server
// does not do it but hands it out with the answer. Whoever serves the guest carries it out on a
// thread that may wait, holding no lock, and only then gives the answer, or failed_sync() instead.
#pragma once

#include <unistd.h>

#include <cstdint>

#include "base/unique_fd.hpp"
#include "ninep/errno.hpp"

namespace vmm::ninep {

struct Sync {
  base::UniqueFd file;  // of its own: the guest may close its one meanwhile
  bool data_only = false;
  uint16_t tag = 0;

  Errno carry_out() const {
    return result_of(data_only ? fdatasync(file.get()) : fsync(file.get()));
  }
};

}  // namespace vmm::ninep
