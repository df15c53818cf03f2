// SPDX-License-Identifier: GPL-2.0-only
//
// Reads the table the way arch/x86/kernel/mpparse.c does.
#include "arch/x86_64/mptable.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <set>
#include <span>

#include "arch/x86_64/layout.hpp"

namespace vmm::arch {
namespace {

constexpr uint64_t kAddress = 0xf0000;
constexpr size_t kHeaderSize = 44;
const std::map<unsigned, size_t> kEntrySizes = {{0, 20}, {1, 8}, {2, 8}, {3, 8}, {4, 8}};

unsigned sum(std::span<const std::byte> bytes) {
  unsigned total = 0;
  for (const std::byte byte : bytes) total += std::to_integer<unsigned>(byte);
  return total & 0xff;
}

unsigned u8(std::span<const std::byte> bytes, size_t at) {
  return std::to_integer<unsigned>(bytes[at]);
}

unsigned u16(std::span<const std::byte> bytes, size_t at) {
  return u8(bytes, at) | u8(bytes, at + 1) << 8;
}

}  // namespace

TEST_CASE("the floating pointer is valid and points behind itself") {
  const auto table = mp_table(kAddress, 1);
  CHECK(std::memcmp(table.data(), "_MP_", 4) == 0);
  CHECK(u8(table, 8) == 1);
  CHECK(u8(table, 9) == 4);
  CHECK(sum(std::span(table).first(16)) == 0);
  uint32_t physical = 0;
  std::memcpy(&physical, table.data() + 4, 4);
  CHECK(physical == kAddress + 16);
}

TEST_CASE("the configuration table adds up for one, few and most processors") {
  for (const uint32_t vcpus : {1U, 4U, 255U}) {
    CAPTURE(vcpus);
    const auto all = mp_table(kAddress, vcpus);
    const auto table = std::span(all).subspan(16);
    CHECK(std::memcmp(table.data(), "PCMP", 4) == 0);
    CHECK(u16(table, 4) == table.size());
    CHECK(sum(table) == 0);
    CHECK(all.size() <= 0x10000);

    std::map<unsigned, unsigned> counts;
    std::set<unsigned> apic_ids;
    unsigned entries = 0;
    for (size_t at = kHeaderSize; at < table.size(); ++entries) {
      const unsigned type = u8(table, at);
      REQUIRE(kEntrySizes.contains(type));
      ++counts[type];
      if (type == 0) apic_ids.insert(u8(table, at + 1));
      at += kEntrySizes.at(type);
    }
    CHECK(u16(table, 34) == entries);
    CHECK(counts[0] == vcpus);
    CHECK(apic_ids.size() == vcpus);
    CHECK(*apic_ids.rbegin() == vcpus - 1);
    CHECK(counts[1] == 1);
    CHECK(counts[2] == 1);
    CHECK(counts[3] == layout::kIsaIrqs);
    CHECK(counts[4] == 2);
  }
}

TEST_CASE("only the first processor is the bootstrap processor") {
  const auto all = mp_table(kAddress, 2);
  const auto table = std::span(all).subspan(16 + kHeaderSize);
  CHECK(u8(table, 3) == 3);
  CHECK(u8(table, 20 + 3) == 1);
}

}  // namespace vmm::arch
