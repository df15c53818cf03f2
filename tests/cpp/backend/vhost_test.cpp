// SPDX-License-Identifier: GPL-2.0-only
#include "backend/vhost.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/error.hpp"

namespace vmm::test {
namespace {

template <class Error>
std::string failure(const std::string& path) {
  base::EventLoop loop;
  const memory::GuestMemory memory(1 << 20);
  try {
    const backend::Vhost vhost(loop, memory, path, 2, {[](uint16_t) {}, [](uint16_t) {}});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a host without the device is told so, with the hint") {
  const std::string told = failure<base::ConfigError>("/dev/vhost-none");
  CHECK(told.starts_with("/dev/vhost-none: No such file or directory"));
  CHECK(told.find("leave out vhost") != std::string::npos);
}

TEST_CASE("a file that is no vhost names the call that it refused") {
  CHECK(failure<base::SystemError>("/dev/null").starts_with("VHOST_SET_OWNER: "));
}

}  // namespace vmm::test
