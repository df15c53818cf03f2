// SPDX-License-Identifier: GPL-2.0-only
#include "base/unique_fd.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

namespace vmm::base {
namespace {

int open_null() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a descriptor is closed with its owner") {
  int number = -1;
  {
    const UniqueFd fd(open_null());
    number = fd.get();
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("a move leaves the source empty and closes what the target had") {
  UniqueFd first(open_null());
  UniqueFd second(open_null());
  const int moved = first.get();
  const int replaced = second.get();
  second = std::move(first);
  CHECK(second.get() == moved);
  CHECK_FALSE(is_open(replaced));
  CHECK(is_open(moved));
}

TEST_CASE("release gives the descriptor away") {
  UniqueFd fd(open_null());
  const int number = fd.release();
  CHECK_FALSE(fd);
  CHECK(is_open(number));
  close(number);
}

}  // namespace vmm::base
