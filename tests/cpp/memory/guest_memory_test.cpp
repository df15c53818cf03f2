// SPDX-License-Identifier: GPL-2.0-only
#include "memory/guest_memory.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>

#include "base/error.hpp"
#include "mapping_flags.hpp"

namespace vmm::memory {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

}  // namespace

TEST_CASE("memory that fits below 3 GiB is one region at zero") {
  const GuestMemory memory(64 * kMiB);
  REQUIRE(memory.regions().size() == 1);
  CHECK(memory.regions()[0].start == GuestAddress{0});
  CHECK(memory.regions()[0].length == 64 * kMiB);
}

TEST_CASE("the rest goes above 4 GiB, with a hole that nothing can touch") {
  const GuestMemory memory(GuestMemory::kLowEnd + 16 * kMiB);
  REQUIRE(memory.regions().size() == 2);
  CHECK(memory.regions()[1].start == GuestAddress{GuestMemory::kHighStart});
  CHECK(memory.regions()[1].length == 16 * kMiB);
  CHECK(memory.slice(GuestAddress{GuestMemory::kHighStart}, 16 * kMiB));
  CHECK_FALSE(memory.slice(GuestAddress{GuestMemory::kLowEnd}, 1));
  CHECK_FALSE(memory.slice(GuestAddress{GuestMemory::kLowEnd - 1}, 2));
  CHECK_FALSE(memory.slice(GuestAddress{GuestMemory::kHighStart - 1}, 2));
}

TEST_CASE("what the guest holds is no part of a core dump") {
  GuestMemory memory(4 * kMiB);
  CHECK(memory.drop_mapping(GuestAddress{kMiB}));
  for (const uint64_t address : {uint64_t{0}, kMiB, 4 * kMiB - 1}) {
    const auto byte = memory.slice(GuestAddress{address}, 1);
    REQUIRE(byte);
    const std::string flags = test::mapping_flags(byte->data());
    CHECK(flags.find(" dd") != std::string::npos);
  }
}

TEST_CASE("slice checks the end of the range, not only its start") {
  const GuestMemory memory(kMiB);
  CHECK(memory.slice(GuestAddress{kMiB - 8}, 8));
  CHECK_FALSE(memory.slice(GuestAddress{kMiB - 8}, 9));
  CHECK_FALSE(memory.slice(GuestAddress{kMiB}, 1));
}

TEST_CASE("slice survives lengths and addresses that wrap") {
  const GuestMemory memory(kMiB);
  CHECK_FALSE(memory.slice(GuestAddress{1}, kMax));
  CHECK_FALSE(memory.slice(GuestAddress{kMax}, 1));
  CHECK_FALSE(memory.slice(GuestAddress{kMax}, kMax));
}

TEST_CASE("an empty range is a range wherever memory is") {
  const GuestMemory memory(kMiB);
  CHECK(memory.slice(GuestAddress{0}, 0));
  CHECK(memory.slice(GuestAddress{kMiB}, 0));
  CHECK_FALSE(memory.slice(GuestAddress{kMiB + 1}, 0));
}

TEST_CASE("objects read back as they were written, and memory starts as zeroes") {
  GuestMemory memory(kMiB);
  CHECK(memory.read_object<uint64_t>(GuestAddress{0x100}) == 0);
  CHECK(memory.write_object(GuestAddress{0x101}, uint32_t{0x12345678}));
  CHECK(memory.read_object<uint32_t>(GuestAddress{0x101}) == 0x12345678);
  CHECK(memory.read_object<uint8_t>(GuestAddress{0x101}) == 0x78);
}

TEST_CASE("a write that does not fit touches nothing") {
  GuestMemory memory(kMiB);
  const std::array<std::byte, 4> bytes = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  CHECK_FALSE(memory.write(GuestAddress{kMiB - 2}, bytes));
  CHECK(memory.read_object<uint16_t>(GuestAddress{kMiB - 2}) == 0);
  std::array<std::byte, 4> into{};
  CHECK_FALSE(memory.read(GuestAddress{kMiB - 2}, into));
}

TEST_CASE("huge pages come from the pool, or the refusal says how to fill it") {
  try {
    GuestMemory memory(4 * kMiB, Backing::kHugePages);
    CHECK(memory.write_object(GuestAddress{4 * kMiB - 8}, uint64_t{1}));
    CHECK_FALSE(memory.drop_mapping(GuestAddress{0}));
  } catch (const base::ConfigError& error) {
    CHECK(std::string(error.what()).find("vm.nr_hugepages=2") != std::string::npos);
  }
  CHECK_THROWS_AS(GuestMemory(1ULL << 44, Backing::kHugePages), base::ConfigError);
}

TEST_CASE("a dropped mapping takes nothing away") {
  GuestMemory memory(kMiB);
  memory.write_object(GuestAddress{0x5008}, uint64_t{42});
  CHECK(memory.drop_mapping(GuestAddress{0x5fff}));
  CHECK(memory.read_object<uint64_t>(GuestAddress{0x5008}) == 42);
  CHECK(memory.write_object(GuestAddress{0x5008}, uint64_t{43}));
  CHECK_FALSE(memory.drop_mapping(GuestAddress{kMiB}));
  CHECK_FALSE(memory.drop_mapping(GuestAddress{kMax}));
}

TEST_CASE("ring indices must be aligned") {
  GuestMemory memory(kMiB);
  CHECK(memory.store_release_u16(GuestAddress{2}, 0xbeef));
  CHECK(memory.load_acquire_u16(GuestAddress{2}) == 0xbeef);
  CHECK_FALSE(memory.load_acquire_u16(GuestAddress{3}));
  CHECK_FALSE(memory.store_release_u16(GuestAddress{3}, 1));
  CHECK_FALSE(memory.load_acquire_u16(GuestAddress{kMiB}));
}

TEST_CASE("release gives back the whole pages of a range and nothing else") {
  GuestMemory memory(kMiB);
  std::array<std::byte, 3 * 4096> ones;
  ones.fill(std::byte{1});
  REQUIRE(memory.write(GuestAddress{0}, ones));
  CHECK(memory.release(*memory.slice(GuestAddress{8}, 2 * 4096)) == 4096);
  CHECK(memory.release(*memory.slice(GuestAddress{8}, 100)) == 0);
  CHECK(memory.read_object<uint8_t>(GuestAddress{4095}) == 1);
  CHECK(memory.read_object<uint8_t>(GuestAddress{4096}) == 0);
  CHECK(memory.read_object<uint8_t>(GuestAddress{8191}) == 0);
  CHECK(memory.read_object<uint8_t>(GuestAddress{8192}) == 1);
}

TEST_CASE("memory in a file goes back to its checkpoint, as often as it is asked to") {
  constexpr uint64_t kPage = 4096;
  GuestMemory memory(4 * kMiB, Backing::kFile);
  const std::byte* const base = memory.regions()[0].host;
  REQUIRE(memory.write_object(GuestAddress{kPage}, 1));
  REQUIRE(memory.write_object(GuestAddress{3 * kMiB}, 2));
  memory.checkpoint();
  CHECK(memory.regions()[0].host == base);  // KVM and devices know this address
  CHECK(memory.read_object<int>(GuestAddress{kPage}) == 1);
  CHECK(memory.rewind() == 0);
  for (int again = 0; again < 3; ++again) {
    REQUIRE(memory.write_object(GuestAddress{kPage}, 7));
    REQUIRE(memory.write_object(GuestAddress{2 * kMiB + 8}, 8));  // was never written before
    CHECK(memory.rewind() == 2 * kPage);
    CHECK(memory.read_object<int>(GuestAddress{kPage}) == 1);
    CHECK(memory.read_object<int>(GuestAddress{2 * kMiB + 8}) == 0);
    CHECK(memory.read_object<int>(GuestAddress{3 * kMiB}) == 2);
  }
  REQUIRE(memory.release(*memory.slice(GuestAddress{kPage}, kPage)) == kPage);
  CHECK(memory.read_object<int>(GuestAddress{kPage}) == 1);  // what was dropped is read anew
}

}  // namespace vmm::memory
