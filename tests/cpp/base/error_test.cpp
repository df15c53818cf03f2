// SPDX-License-Identifier: GPL-2.0-only
#include "base/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>

namespace vmm::base {

TEST_CASE("check passes results through and names the call that failed") {
  CHECK(check(3, "open") == 3);
  errno = EINVAL;
  CHECK_THROWS_WITH_AS(check(-1, "KVM_SET_SREGS"), "KVM_SET_SREGS: Invalid argument", SystemError);
}

TEST_CASE("a system error keeps the number and the call") {
  const SystemError error("KVM_RUN", EFAULT);
  CHECK(error.error_number() == EFAULT);
  CHECK(error.call() == "KVM_RUN");
}

}  // namespace vmm::base
