// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/aml.hpp"

#include <doctest/doctest.h>

namespace vmm::arch {
namespace {

aml::Bytes bytes(std::initializer_list<int> values) {
  aml::Bytes all;
  for (const int value : values) all.push_back(std::byte{static_cast<uint8_t>(value)});
  return all;
}

}  // namespace

TEST_CASE("integers and strings have their prefix") {
  CHECK(aml::integer(5) == bytes({0x0a, 5}));
  CHECK(aml::integer(0x12345) == bytes({0x0c, 0x45, 0x23, 0x01, 0}));
  CHECK(aml::string("ab") == bytes({0x0d, 'a', 'b', 0}));
}

TEST_CASE("a short length is one byte, a longer one two, and both count themselves") {
  CHECK(aml::scope("ABCD", aml::Bytes(58)).at(1) == std::byte{63});
  const aml::Bytes scope = aml::scope("ABCD", aml::Bytes(59));
  CHECK(scope.size() == 1 + 65);
  CHECK(scope.at(1) == std::byte{0x41});
  CHECK(scope.at(2) == std::byte{0x04});
}

TEST_CASE("a device has its name and contents") {
  CHECK(aml::device("DEV0", aml::name("_UID", aml::integer(1))) ==
        bytes({0x5b, 0x82, 12, 'D', 'E', 'V', '0', 0x08, '_', 'U', 'I', 'D', 0x0a, 1}));
}

TEST_CASE("plug-and-play ids are packed as everyone knows them") {
  CHECK(aml::eisa_id("PNP0A03") == bytes({0x0c, 0x41, 0xd0, 0x0a, 0x03}));
  CHECK(aml::eisa_id("PNP0C02") == bytes({0x0c, 0x41, 0xd0, 0x0c, 0x02}));
}

TEST_CASE("a resource template is a buffer that ends in a tag") {
  CHECK(aml::resources({aml::io_ports(0xcf8, 8)}) ==
        bytes({0x11, 13, 0x0a, 10, 0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8, 0x79, 0}));
}

TEST_CASE("each descriptor is as long as it says") {
  CHECK(aml::fixed_memory(0xd0000000, 0x1000) ==
        bytes({0x86, 9, 0, 1, 0, 0, 0, 0xd0, 0, 0x10, 0, 0}));
  CHECK(aml::edge_interrupt(5) == bytes({0x89, 6, 0, 0x0b, 1, 5, 0, 0, 0}));
  CHECK(aml::bus_numbers(0, 0) == bytes({0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
  const aml::Bytes window = aml::memory_window(0xd1000000, 0x0f000000);
  CHECK(window.size() == 3 + 23);
  CHECK(window.at(14) == std::byte{0xff});  // the last byte's address, 0xdfffffff
  CHECK(window.at(17) == std::byte{0xdf});
}

}  // namespace vmm::arch
