// SPDX-License-Identifier: GPL-2.0-only
//
// Inflates one compressed cluster (a raw deflate stream). The stream comes from anywhere: whatever
// it holds, exactly the cluster is written or an error returned. A pure function, any thread.
#pragma once

#include <cstddef>
#include <span>
#include <system_error>

namespace vmm::backend::qcow2 {

std::error_code inflate_cluster(std::span<const std::byte> compressed,
                                std::span<std::byte> cluster);

}  // namespace vmm::backend::qcow2
