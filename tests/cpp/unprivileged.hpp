// SPDX-License-Identifier: GPL-2.0-only
//
// Drops root's rights of this process during its lifetime, so that the kernel refuses what it
// refuses to users. No effect if the process is not root's. Used by tests of any folder.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

namespace vmm::test {

class Unprivileged {
 public:
  Unprivileged() : before_(geteuid()) { become(before_ == 0 ? kNobody : before_); }
  ~Unprivileged() { become(before_); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;

  static void become(uid_t user) { REQUIRE(seteuid(user) == 0); }

  const uid_t before_;
};

}  // namespace vmm::test
