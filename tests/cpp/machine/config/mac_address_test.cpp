// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/mac_address.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/error.hpp"

namespace vmm::test {
namespace {

using machine::mac_address;

std::string mac_failure(const std::string& text) {
  try {
    mac_address(text, 0);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an interface's address is the same each time, and its own") {
  CHECK(mac_address("", 0) == mac_address("", 0));
  CHECK(mac_address("", 0) != mac_address("", 1));
  CHECK((mac_address("", 0)[0] & 3) == 2);  // unicast, locally administered
  CHECK(mac_address("52:54:00:aB:cd:0f", 3) ==
        virtio::MacAddress{0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f});
}

TEST_CASE("an address that is none names itself and the form") {
  for (const char* text : {"x", "02:54:4b:56:4d", "02:54:4b:56:4d:00:", "02:54:4b:56:4d:00:01",
                           "02:54:4b:56:4d:0g", "02-54-4b-56-4d-00"}) {
    CAPTURE(text);
    CHECK(contains(mac_failure(text), text));
    CHECK(contains(mac_failure(text), "02:54:4b:56:4d:00"));
  }
  CHECK(contains(mac_failure("03:54:4b:56:4d:00"), "even first byte"));
}

}  // namespace vmm::test
