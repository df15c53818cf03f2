// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/cpuid_buffer.hpp"

#include <doctest/doctest.h>
#include <linux/kvm.h>

#include <array>

namespace vmm::kvm {

TEST_CASE("entries survive the way through kvm_cpuid2") {
  const std::array<CpuidEntry, 2> entries = {{
      {0, 0, false, 1, 2, 3, 4},
      {0xb, 1, true, 5, 6, 7, 8},
  }};
  CpuidBuffer buffer(entries);
  CHECK(buffer.get()->nent == 2);
  const auto back = buffer.entries();
  REQUIRE(back.size() == 2);
  CHECK(back[0].edx == 4);
  CHECK_FALSE(back[0].index_matters);
  CHECK(back[1].function == 0xb);
  CHECK(back[1].index == 1);
  CHECK(back[1].index_matters);
  CHECK(back[1].ebx == 6);
}

TEST_CASE("an empty buffer announces its capacity") {
  CpuidBuffer buffer(128);
  CHECK(buffer.get()->nent == 128);
}

}  // namespace vmm::kvm
