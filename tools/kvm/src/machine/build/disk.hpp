// SPDX-License-Identifier: GPL-2.0-only
//
// Makes a disk's backend from its configuration. Called by Machine while it is set up. The loop
// outlives the backend, which reports on it the requests that complete later.
#pragma once

#include <memory>

#include "backend/block_backend.hpp"
#include "base/event_loop.hpp"
#include "machine/config/config.hpp"

namespace vmm::machine {

// Throws a base::ConfigError with the path and a hint.
std::unique_ptr<backend::BlockBackend> open_disk(base::EventLoop& loop, const DiskConfig& disk);

}  // namespace vmm::machine
