// SPDX-License-Identifier: GPL-2.0-only
#include "base/descriptor_reserve.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "descriptor_limit.hpp"

namespace vmm::base {
namespace {

UniqueFd open_null() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

TEST_CASE("who asks before opening leaves the reserve to the VMM itself") {
  const test::DescriptorLimit limit(256);
  std::vector<UniqueFd> taken;
  while (has_spare_descriptor()) taken.push_back(open_null());
  CHECK(taken.size() > 64);
  std::vector<UniqueFd> own;
  for (UniqueFd fd = open_null(); fd; fd = open_null()) own.push_back(std::move(fd));
  CHECK(own.size() > kReservedDescriptors / 2);  // the parent process may have left some open
  CHECK(own.size() <= kReservedDescriptors);
  CHECK(is_reserved_descriptor(own.front().get()));
  CHECK_FALSE(is_reserved_descriptor(taken.back().get()));
  CHECK_FALSE(has_spare_descriptor());
  own.clear();
  taken.pop_back();
  CHECK(has_spare_descriptor());
}

TEST_CASE("where few may be opened at all, half of them are the VMM's") {
  const test::DescriptorLimit limit(100);
  CHECK_FALSE(is_reserved_descriptor(49));
  CHECK(is_reserved_descriptor(50));
}

}  // namespace vmm::base
