// SPDX-License-Identifier: GPL-2.0-only
#include "machine/output_pipe.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>

#include "machine/host_link.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  HostLink link;
  base::UniqueFd stopping{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  OutputPipe pipe{link.device_end.get(), stopping.get()};

  void write(std::string_view text) { pipe.write(std::as_bytes(std::span(text))); }

  std::string received() const {
    char buffer[4096];
    const ssize_t count = recv(link.host_end.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return count > 0 ? std::string(buffer, static_cast<size_t>(count)) : "";
  }
};

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

TEST_CASE_FIXTURE(Fixture, "a reader that is slow gets every byte") {
  std::atomic<bool> done = false;
  const std::string line(1023, 'x');
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) write(line + "\n");
    done = true;
  });
  std::this_thread::sleep_for(20ms);
  CHECK_FALSE(done);  // 2 MB do not fit in a socket: the writer waits
  size_t total = 0;
  while (total < 2000 * 1024) {
    const size_t got = received().size();
    total += got;
    if (got == 0) std::this_thread::yield();
  }
  writer.join();
  CHECK(total == 2000 * 1024);
}

TEST_CASE_FIXTURE(Fixture, "a stop frees a writer whose reader never comes") {
  std::thread writer([&] {
    const std::string line(1023, 'x');
    for (int i = 0; i < 2000; ++i) write(line + "\n");
  });
  eventfd_write(stopping.get(), 1);
  writer.join();
}

TEST_CASE_FIXTURE(Fixture, "a reader that has gone is no trouble") {
  link.host_end.reset();
  write("anybody?\n");
  write("no\n");
}

}  // namespace vmm::machine
