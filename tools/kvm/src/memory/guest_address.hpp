// SPDX-License-Identifier: GPL-2.0-only
//
// A guest physical address, as a separate type, so that it is never mistaken for a host pointer or
// a length. It has no operators that could wrap; memory/ checks ranges.
#pragma once

#include <compare>
#include <cstdint>

namespace vmm::memory {

struct GuestAddress {
  uint64_t value = 0;

  auto operator<=>(const GuestAddress&) const = default;
};

}  // namespace vmm::memory
