// SPDX-License-Identifier: GPL-2.0-only
#include "base/socket.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"

namespace vmm::base {
namespace {

// Blocking sockets: the calls themselves must not wait.
struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    near = UniqueFd(ends[0]);
    far = UniqueFd(ends[1]);
  }

  UniqueFd near;
  UniqueFd far;
};

iovec piece(std::string& text) { return {text.data(), text.size()}; }

TEST_CASE("what is sent in pieces is received in pieces") {
  Pair pair;
  std::string one = "one ", two = "two";
  CHECK(send_some(pair.near.get(), std::array{piece(one), piece(two)}) == 7);
  std::string first(3, '-'), rest(9, '-');
  CHECK(receive_some(pair.far.get(), std::array{piece(first), piece(rest)}) == 7);
  CHECK(first + rest.substr(0, 4) == "one two");
}

TEST_CASE("nothing to receive, and no room to send, are told at once") {
  Pair pair;
  std::string block(1 << 16, 'x');
  CHECK(receive_some(pair.near.get(), std::array{piece(block)}) == -1);
  CHECK(would_block());
  while (send_some(pair.near.get(), std::array{piece(block)}) > 0) {
  }
  CHECK(would_block());
}

TEST_CASE("what has come can be dropped, and no more than that") {
  Pair pair;
  std::string block(10000, 'x'), after(5, '-');
  REQUIRE(send_some(pair.near.get(), std::array{piece(block)}) == 10000);
  drop_received(pair.far.get());
  drop_received(pair.far.get());
  std::string next = "next";
  REQUIRE(send_some(pair.near.get(), std::array{piece(next)}) == 4);
  CHECK(receive_some(pair.far.get(), std::array{piece(after)}) == 4);
  CHECK(after == "next-");
}

TEST_CASE("an end that has gone is an error, and no signal") {
  Pair pair;
  pair.far = UniqueFd();
  std::string text = "text";
  CHECK(receive_some(pair.near.get(), std::array{piece(text)}) == 0);
  CHECK(send_some(pair.near.get(), std::array{piece(text)}) == -1);
  CHECK(errno == EPIPE);
  CHECK(!would_block());
}

}  // namespace
}  // namespace vmm::base
