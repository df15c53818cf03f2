// SPDX-License-Identifier: GPL-2.0-only
#include "machine/streams/output_pipe.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>

#include "machine/streams/host_link.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

std::chrono::steady_clock::time_point in(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + time;
}

struct Fixture {
  Gate gate;
  base::EventLoop loop;
  HostLink link;
  OutputPipe pipe{loop, link.duplicate_device_end(), &gate};
  HostLink tty_link;
  OutputPipe tty{loop, tty_link.duplicate_device_end(), nullptr};

  void write(std::string_view text) { pipe.write(std::as_bytes(std::span(text))); }
  void write_tty(std::string_view text) { tty.write(std::as_bytes(std::span(text))); }

  static std::string received(const HostLink& from) {
    char buffer[4096];
    const ssize_t count = recv(from.host_end.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return count > 0 ? std::string(buffer, static_cast<size_t>(count)) : "";
  }
  std::string received() const { return received(link); }

  // Reads until the pipe is empty.
  static std::string rest(const OutputPipe& from, const HostLink& at) {
    std::string text;
    for (;;) {
      const bool last = !from.unsent();
      const std::string more = received(at);
      if (more.empty() && last) return text;
      text += more;
    }
  }
};

const std::string kLine = std::string(1023, 'x') + "\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a line is sent when it is complete") {
  write("hel");
  CHECK(received().empty());
  write("lo\n");
  CHECK(received() == "hello\n");
}

TEST_CASE_FIXTURE(Fixture, "flush sends the incomplete rest, once") {
  write("# ");
  pipe.flush();
  CHECK(received() == "# ");
  pipe.flush();
  CHECK(received().empty());
}

TEST_CASE_FIXTURE(Fixture, "a writer never waits, and a reader that comes late gets every byte") {
  std::string all;
  while (!gate.output_full()) {
    const std::string line = std::to_string(all.size()) + "\n";
    write(line);
    all += line;
  }
  CHECK(pipe.ready());  // its vCPUs wait at the gate instead
  CHECK(pipe.unsent());
  write("more\n");
  CHECK((rest(pipe, link) == all + "more\n"));
  CHECK_FALSE(gate.output_full());
}

TEST_CASE_FIXTURE(Fixture, "who waits for room has it when the reader has taken some") {
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) {
      CHECK(gate.wait_for_room());
      write(kLine);
    }
    done = true;
  });
  size_t total = 0;
  while (!done || pipe.unsent() || total < 2000 * kLine.size()) {
    const size_t got = received().size();
    total += got;
    if (got == 0) std::this_thread::yield();
  }
  writer.join();
  CHECK(total == 2000 * kLine.size());
}

TEST_CASE_FIXTURE(Fixture, "the end waits for a reader, and not for ever where none is") {
  while (!gate.output_full()) write(kLine);
  pipe.wait_sent(in(20ms));
  CHECK(pipe.unsent());
  std::string text;
  std::thread reader([&] { text = rest(pipe, link); });
  pipe.wait_sent(in(20s));
  CHECK_FALSE(pipe.unsent());
  reader.join();
}

TEST_CASE_FIXTURE(Fixture, "a reader that has gone is no trouble, and leaves nobody waiting") {
  while (!gate.output_full()) write(kLine);
  link.host_end.reset();
  CHECK(gate.wait_for_room());
  write("anybody?\n");
  write("no\n");
  CHECK_FALSE(pipe.unsent());
}

TEST_CASE_FIXTURE(Fixture, "a terminal that nobody reads loses the rest and stops nobody") {
  std::atomic<int> told = 0;
  tty.on_ready([&] { ++told; });
  std::string all;
  while (tty.ready()) {
    write_tty(kLine);
    all += kLine;
  }
  CHECK_FALSE(gate.output_full());
  // Bytes that the driver has in flight are kept, and no more than those.
  for (int i = 0; i < 16; ++i) write_tty(std::to_string(i) + "\n");
  for (int i = 0; i < 100; ++i) write_tty(kLine);
  const std::string text = rest(tty, tty_link);
  CHECK(text.find(all + "0\n1\n2\n") == 0);
  CHECK(text.size() <= all.size() + OutputPipe::kOverrun);
  CHECK(tty.ready());
  write_tty("again\n");
  CHECK(rest(tty, tty_link) == "again\n");
  loop.stop();
  CHECK(told == 1);
}

}  // namespace vmm::machine
