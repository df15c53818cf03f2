// SPDX-License-Identifier: GPL-2.0-only
//
// From a disk's configuration to its backend. Called by Machine while it is set up. The loop
// outlives the backend, which tells on it what it had to wait for.
#pragma once

#include <memory>

#include "backend/block_backend.hpp"
#include "base/event_loop.hpp"
#include "machine/config/config.hpp"

namespace vmm::machine {

// Throws base::ConfigError with the path and the hint.
std::unique_ptr<backend::BlockBackend> open_disk(base::EventLoop& loop, const DiskConfig& disk);

}  // namespace vmm::machine
