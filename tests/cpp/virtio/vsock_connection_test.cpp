// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>
#include <linux/virtio_vsock.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "virtio/device/vsock/connection.hpp"

namespace vmm::test {
namespace {

using virtio::VsockConnection;
using Greeting = VsockConnection::Greeting;
using State = VsockConnection::State;

struct Fixture {
  explicit Fixture(State state = State::kGreeting) : connection(make(), state) {}

  base::UniqueFd make() {
    std::array<int, 2> ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    host = base::UniqueFd(ends[0]);
    return base::UniqueFd(ends[1]);
  }
  void write(const std::string& text) {
    REQUIRE(::send(host.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
    connection.on_events(EPOLLIN);
  }
  std::string read() {
    std::string bytes(1 << 20, '\0');
    const ssize_t got = ::recv(host.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }
  bool take(std::string text) {
    const iovec piece{text.data(), text.size()};
    return connection.take(std::span(&piece, 1), static_cast<uint32_t>(text.size()));
  }
  std::string receive(size_t most) {
    std::string bytes(most, '\0');
    const iovec piece{bytes.data(), bytes.size()};
    bytes.resize(connection.read(std::span(&piece, 1)));
    return bytes;
  }
  // Opens a stream, without pending packets.
  void open(uint32_t credit) {
    connection.respond({1, 2});
    connection.hear_credit(credit, 0);
    CHECK(connection.next_word()->op == VIRTIO_VSOCK_OP_RESPONSE);
    CHECK_FALSE(connection.next_word());
  }

  base::UniqueFd host;
  VsockConnection connection;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a greeting names a port and leaves what follows") {
  CHECK(connection.read_greeting() == Greeting::kIncomplete);
  write("CONN");
  CHECK(connection.read_greeting() == Greeting::kIncomplete);
  write("ECT 52\nmore");
  REQUIRE(connection.read_greeting() == Greeting::kComplete);
  CHECK(connection.ports().guest == 52);
  connection.request({9, 52});
  CHECK(connection.next_word()->op == VIRTIO_VSOCK_OP_REQUEST);
  CHECK_FALSE(connection.can_read());
  connection.hear_credit(100, 0);
  connection.open();
  CHECK(read() == "OK 9\n");
  REQUIRE(connection.can_read());
  CHECK(receive(100) == "more");
}

TEST_CASE("greetings that are wrong are known for it") {
  for (const char* text :
       {"HELLO 52\n", "CONNECT\n", "CONNECT \n", "CONNECT x\n", "CONNECT -1\n",
        "CONNECT 4294967296\n", "CONNECT 5 2\n", "\n", "CONNECT 00000000000000000000000052\n"}) {
    CAPTURE(text);
    Fixture fixture;
    fixture.write(text);
    CHECK(fixture.connection.read_greeting() == Greeting::kWrong);
  }
  Fixture gone;
  gone.host.reset();
  CHECK(gone.connection.read_greeting() == Greeting::kWrong);
}

TEST_CASE_FIXTURE(Fixture, "no more is read than the guest has credit for") {
  open(10);
  write("0123456789abcdef");
  CHECK(receive(100) == "0123456789");
  CHECK_FALSE(connection.can_read());
  CHECK(connection.next_word()->op == VIRTIO_VSOCK_OP_CREDIT_REQUEST);
  CHECK_FALSE(connection.next_word());
  connection.hear_credit(10, 4);
  CHECK(receive(100) == "abcd");
  connection.hear_credit(10, 14);
  CHECK(receive(100) == "ef");
  CHECK(receive(100).empty());
  CHECK_FALSE(connection.can_read());
}

TEST_CASE_FIXTURE(Fixture, "a guest that claims more than it got has no credit") {
  open(10);
  write("0123456789");
  connection.hear_credit(10, 1);
  CHECK_FALSE(connection.can_read());
  connection.hear_credit(0xffffffff, 0x80000000);
  CHECK(connection.can_read());  // the guest's buffer is that large
  connection.hear_credit(0, 0);
  CHECK_FALSE(connection.can_read());
}

TEST_CASE_FIXTURE(Fixture, "what the host does not read is kept up to the credit given") {
  open(0);
  const std::string piece(64 * 1024, 'x');
  // The socket takes some bytes, the buffer the rest; then the guest has used all its credit.
  uint64_t total = 0;
  while (take(piece)) total += piece.size();
  CHECK(total >= VsockConnection::kBufferBytes);
  CHECK(total < 8 * VsockConnection::kBufferBytes);
  uint64_t seen = 0;
  for (std::string part = read(); !part.empty(); part = read()) {
    seen += part.size();
    connection.on_events(EPOLLOUT);
  }
  CHECK(seen == total);
  const auto word = connection.next_word();
  REQUIRE(word);
  CHECK(word->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  CHECK(word->forwarded == static_cast<uint32_t>(total));
  CHECK(take(piece));
}

TEST_CASE_FIXTURE(Fixture, "a host program that has gone makes the guest stop, not wait") {
  open(100);
  write("last words");
  host.reset();
  CHECK(take("nobody reads this"));
  CHECK(take(std::string(VsockConnection::kBufferBytes, 'x')));
  CHECK(receive(100) == "last words");
  CHECK(receive(100).empty());
  uint32_t flags = 0;
  while (const auto word = connection.next_word()) flags |= word->flags;
  CHECK(flags == (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND));
  CHECK_FALSE(connection.finished());
  connection.hear_shutdown(true, true);
  CHECK(connection.finished());
}

TEST_CASE_FIXTURE(Fixture, "the host sees the end behind the last byte") {
  open(100);
  CHECK(take("the end"));
  connection.hear_shutdown(false, true);
  std::string bytes(100, '\0');
  CHECK(::recv(host.get(), bytes.data(), bytes.size(), 0) == 7);
  CHECK(::recv(host.get(), bytes.data(), bytes.size(), 0) == 0);
  CHECK_FALSE(connection.finished());
  write("still heard");
  CHECK(receive(100) == "still heard");
}

TEST_CASE_FIXTURE(Fixture, "a guest that is deaf is sent nothing") {
  open(100);
  write("unheard");
  connection.hear_shutdown(true, false);
  CHECK_FALSE(connection.can_read());
}

}  // namespace vmm::test
