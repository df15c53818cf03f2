// SPDX-License-Identifier: GPL-2.0-only
#include "backend/vsock_listener.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {
namespace {

using backend::VsockListener;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

base::UniqueFd connect_to(const std::string& path) {
  base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return {};
  }
  return socket;
}

std::string error_of(const std::string& path) {
  try {
    const VsockListener listener(path);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(TemporaryFolder, "programs connect at the path, which goes with the listener") {
  const std::string place = *this / "v";
  {
    VsockListener listener(place);
    CHECK_FALSE(listener.accept());
    const base::UniqueFd client = connect_to(place);
    REQUIRE(client);
    CHECK(listener.accept());
    CHECK_FALSE(listener.accept());
  }
  CHECK_FALSE(std::filesystem::exists(place));
}

TEST_CASE_FIXTURE(TemporaryFolder,
                  "the guest's connections go to the path with the port behind it") {
  const VsockListener listener(*this / "v");
  VsockListener server(*this / "v_4294967295");
  CHECK_FALSE(listener.connect(5));
  CHECK(listener.connect(4294967295));
  CHECK(server.accept());
}

TEST_CASE_FIXTURE(TemporaryFolder,
                  "a socket that a killed VMM left is replaced, a live one is not") {
  const std::string place = *this / "v";
  {
    const base::UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(place);
    REQUIRE(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  REQUIRE(std::filesystem::exists(place));
  const VsockListener listener(place);
  CHECK(contains(error_of(place), "something is there already"));
  CHECK(std::filesystem::exists(place));
}

TEST_CASE_FIXTURE(TemporaryFolder, "a path that can't be is refused with the hint") {
  std::ofstream(*this / "file") << "x";
  CHECK(contains(error_of(*this / "file"), "something is there already"));
  CHECK(std::filesystem::exists(*this / "file"));
  CHECK(contains(error_of(*this / "none/v"), "create its folder"));
  CHECK(contains(error_of(*this / std::string(100, 'x')), "choose another"));
  CHECK(contains(error_of(""), "choose another"));
}

}  // namespace vmm::test
