// SPDX-License-Identifier: GPL-2.0-only
//
// A minimal viewer (RFC 6143) against the server, over a socket pair.
#include "display/vnc_server.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <rfb/rfb.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/error.hpp"

namespace vmm::display {
namespace {

using namespace std::chrono_literals;

constexpr Geometry kSize{64, 48};

bool have_library() {
  if (dlopen("libvncserver.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr) return true;
  MESSAGE("no libvncserver: nothing tested");
  return false;
}

struct MemoryScreen final : Screen {
  Geometry geometry() const override { return kSize; }
  std::span<std::byte> pixels() override { return std::as_writable_bytes(std::span(memory)); }
  void watch(bool on) override {
    const std::lock_guard lock(mutex);
    watched = on;
    ++watches;
    changed.notify_all();
  }
  std::vector<Rows> changed_rows() override {
    const std::lock_guard lock(mutex);
    return std::exchange(rows, {});
  }
  void draw(uint32_t row, uint32_t pixel) {
    const std::lock_guard lock(mutex);
    std::fill_n(memory.begin() + row * kSize.width, kSize.width, pixel);
    rows.push_back({row, row + 1});
  }
  bool wait_watched(bool wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, [&] { return watched == wanted && watches > 0; });
  }

  std::vector<uint32_t> memory = std::vector<uint32_t>(kSize.width * kSize.height);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Rows> rows;
  bool watched = false;
  int watches = 0;
};

struct Heard final : InputListener {
  void key(uint32_t keysym, bool down) override {
    const std::lock_guard lock(mutex);
    keys.emplace_back(keysym, down);
    changed.notify_all();
  }
  void pointer(uint32_t x, uint32_t y, uint32_t buttons) override {
    const std::lock_guard lock(mutex);
    points.emplace_back(x, y, buttons);
    changed.notify_all();
  }
  template <class Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, done);
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<uint32_t, bool>> keys;
  std::vector<std::tuple<uint32_t, uint32_t, uint32_t>> points;
};

class Viewer {
 public:
  explicit Viewer(VncServer& server) {
    std::array<int, 2> ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    socket_ = base::UniqueFd(ends[0]);
    server.add_viewer(base::UniqueFd(ends[1]));
  }

  std::string read(size_t size) {
    std::string data(size, '\0');
    for (size_t at = 0; at < size;) {
      pollfd readable{socket_.get(), POLLIN, 0};
      REQUIRE(poll(&readable, 1, 10'000) == 1);
      const ssize_t got = ::read(socket_.get(), data.data() + at, size - at);
      REQUIRE(got > 0);
      at += static_cast<size_t>(got);
    }
    return data;
  }
  void send(const std::string& data) {
    REQUIRE(write(socket_.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size()));
  }
  void close() { socket_.reset(); }
  // Whether the server has closed it, perhaps after a message.
  bool let_go() {
    pollfd readable{socket_.get(), POLLIN, 0};
    std::array<char, 64> words;
    while (poll(&readable, 1, 10'000) == 1) {
      if (::read(socket_.get(), words.data(), words.size()) <= 0) return true;
    }
    return false;
  }

  // The ways of authentication that the server offers (RFC 6143, 7.1.2).
  std::string offered() {
    CHECK(read(12) == "RFB 003.008\n");
    send("RFB 003.008\n");
    const std::string types = read(1);
    return read(static_cast<size_t>(types[0]));
  }
  // True if the server takes the password (7.2.2), which the library's own DES encrypts.
  bool authenticate(std::string password) {
    CHECK(offered() == "\2");
    send("\2");
    std::string challenge = read(16);
    void* library = dlopen("libvncserver.so.1", RTLD_NOW | RTLD_LOCAL);
    auto* encrypt = reinterpret_cast<decltype(&rfbEncryptBytes)>(dlsym(library, "rfbEncryptBytes"));
    REQUIRE((encrypt != nullptr));
    encrypt(reinterpret_cast<unsigned char*>(challenge.data()), password.data());
    send(challenge);
    return read(4) == std::string(4, '\0');
  }
  void greet() {
    CHECK(offered().find('\1') != std::string::npos);
    send("\1");  // no security
    CHECK(read(4) == std::string(4, '\0'));
    begin();
  }
  void begin() {
    send("\1");  // shared
    const std::string init = read(24);
    CHECK(number(init, 0, 2) == kSize.width);
    CHECK(number(init, 2, 2) == kSize.height);
    name = read(number(init, 20, 4));
    send(std::string("\2\0\0\1\0\0\0\0", 8));  // only raw pixels
  }

  // The pixels as they are in the screen's memory, after an update of all of it.
  std::vector<uint32_t> look(bool incremental) {
    std::string request(10, '\0');
    request[0] = 3;
    request[1] = incremental ? 1 : 0;
    request[7] = kSize.width;
    request[9] = kSize.height;
    send(request);
    const std::string head = read(4);
    for (uint32_t left = number(head, 2, 2); left > 0; --left) {
      const std::string rectangle = read(12);
      const uint32_t x = number(rectangle, 0, 2), y = number(rectangle, 2, 2);
      const uint32_t width = number(rectangle, 4, 2), height = number(rectangle, 6, 2);
      for (uint32_t row = 0; row < height; ++row) {
        const std::string pixels = read(width * kPixelBytes);
        std::memcpy(&seen[(y + row) * kSize.width + x], pixels.data(), pixels.size());
      }
    }
    return seen;
  }

  static uint32_t number(const std::string& data, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(data[at + i]);
    return value;
  }

  std::string name;
  std::vector<uint32_t> seen = std::vector<uint32_t>(kSize.width * kSize.height);

 private:
  base::UniqueFd socket_;
};

struct Fixture {
  explicit Fixture(const std::string& password = "") : server(screen, heard, "a title", password) {}

  MemoryScreen screen;
  Heard heard;
  VncServer server;
};

}  // namespace

TEST_CASE("a viewer sees the screen, and what changes") {
  if (!have_library()) return;
  Fixture f;
  for (size_t i = 0; i < f.screen.memory.size(); ++i) {
    f.screen.memory[i] = static_cast<uint32_t>(i * 0x010305) & 0xffffff;
  }
  Viewer viewer(f.server);
  viewer.greet();
  CHECK(viewer.name == "a title");
  CHECK(viewer.look(false) == f.screen.memory);
  REQUIRE(f.screen.wait_watched(true));
  f.screen.draw(40, 0x123456);
  CHECK(viewer.look(true) == f.screen.memory);
  CHECK(f.server.viewers() == 1);
}

TEST_CASE("keys and pointer are heard as they are told") {
  if (!have_library()) return;
  Fixture f;
  Viewer viewer(f.server);
  viewer.greet();
  viewer.send(std::string("\4\1\0\0\0\0\0a", 8) + std::string("\4\0\0\0\0\0\xff\x0d", 8));
  viewer.send(std::string("\5\1\0\x20\0\x10", 6));
  REQUIRE(f.heard.wait([&] { return f.heard.keys.size() == 2 && f.heard.points.size() == 1; }));
  CHECK(f.heard.keys[0] == std::pair<uint32_t, bool>{'a', true});
  CHECK(f.heard.keys[1] == std::pair<uint32_t, bool>{0xff0d, false});
  CHECK(f.heard.points[0] == std::tuple<uint32_t, uint32_t, uint32_t>{0x20, 0x10, 1});
}

TEST_CASE("viewers come and go, and the screen is watched while there are any") {
  if (!have_library()) return;
  Fixture f;
  CHECK(f.screen.watches == 0);
  for (int round = 0; round < 3; ++round) {
    Viewer one(f.server);
    Viewer two(f.server);
    one.greet();
    two.greet();
    REQUIRE(f.screen.wait_watched(true));
    one.close();
    CHECK(two.look(false) == f.screen.memory);
    two.close();
    REQUIRE(f.screen.wait_watched(false));
  }
}

TEST_CASE("what is no viewer is let go of") {
  if (!have_library()) return;
  Fixture f;
  Viewer rubbish(f.server);
  rubbish.send(std::string(5000, 'x'));
  Viewer silent(f.server);
  Viewer gone(f.server);
  gone.close();
  Viewer viewer(f.server);
  viewer.greet();
  CHECK(viewer.look(false) == f.screen.memory);
}

TEST_CASE("who has the password sees and is heard, and nobody else") {
  if (!have_library()) return;
  Fixture f("s3cret");
  Viewer stranger(f.server);
  CHECK_FALSE(stranger.authenticate("guess"));
  CHECK(stranger.let_go());
  Viewer cheat(f.server);
  CHECK(cheat.offered() == "\2");
  cheat.send("\1\1");  // choose a type that was not offered, and continue
  CHECK(cheat.let_go());
  Viewer viewer(f.server);
  CHECK(viewer.authenticate("s3cret"));
  viewer.begin();
  CHECK(viewer.look(false) == f.screen.memory);
  viewer.send(std::string("\4\1\0\0\0\0\0a", 8));
  CHECK(f.heard.wait([&] { return f.heard.keys.size() == 1; }));
}

TEST_CASE("a password that VNC would cut short is refused") {
  if (!have_library()) return;
  MemoryScreen screen;
  Heard heard;
  CHECK_THROWS_AS(VncServer(screen, heard, "", "nine char"), base::ConfigError);
}

TEST_CASE("there is an end to how many viewers there may be, and a place again for another") {
  if (!have_library()) return;
  Fixture f;
  std::vector<Viewer> viewers;
  for (size_t i = 0; i < VncServer::kMaxViewers; ++i) viewers.emplace_back(f.server).greet();
  Viewer surplus(f.server);
  CHECK(surplus.let_go());
  viewers.front().close();
  while (f.server.viewers() == VncServer::kMaxViewers) std::this_thread::sleep_for(1ms);
  Viewer another(f.server);
  another.greet();
  CHECK(another.look(false) == f.screen.memory);
  CHECK(viewers.back().look(false) == f.screen.memory);
}

TEST_CASE("viewers have seats below the end of select's world, whoever took all else there") {
  if (!have_library()) return;
  Fixture f;
  std::vector<base::UniqueFd> taken;
  do {
    taken.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!taken.back()) {
      MESSAGE("this process may not open that many: nothing tested");
      return;
    }
  } while (taken.back().get() < FD_SETSIZE);
  for (int round = 0; round < 3; ++round) {
    Viewer viewer(f.server);
    viewer.greet();
    CHECK(viewer.look(false) == f.screen.memory);
    viewer.close();
    REQUIRE(f.screen.wait_watched(false));
  }
}

}  // namespace vmm::display
