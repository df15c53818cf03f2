// SPDX-License-Identifier: GPL-2.0-only
#include "backend/net_checksum.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace vmm::test {
namespace {

using backend::complete_checksum;
using backend::ones_complement_sum;

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// Word by word, as RFC 1071 defines it.
uint16_t plain_sum(const std::vector<std::byte>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? static_cast<uint32_t>(bytes[i + 1]) : 0;
    sum += static_cast<uint32_t>(bytes[i]) << 8 | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

}  // namespace

TEST_CASE("the sum is that of RFC 1071's example") {
  CHECK(ones_complement_sum(bytes_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})) == 0xddf2);
  CHECK(ones_complement_sum({}) == 0);
  CHECK(ones_complement_sum(bytes_of({0x12})) == 0x1200);
}

TEST_CASE("the sum is right for every length and for large frames") {
  std::vector<std::byte> bytes;
  for (int length = 0; length < 70; ++length) {
    CHECK(ones_complement_sum(bytes) == plain_sum(bytes));
    bytes.push_back(static_cast<std::byte>(length * 37 + 200));
  }
  bytes.assign(65549, std::byte{0xff});
  CHECK(ones_complement_sum(bytes) == plain_sum(bytes));
}

TEST_CASE("a completed checksum makes the whole sum all ones") {
  auto frame = bytes_of({9, 9, 9, 1, 2, 3, 4, 0x12, 0x34, 5, 6, 7});
  REQUIRE(complete_checksum(frame, 3, 4));
  // With the pseudo header's part, which was in the field, the sum is 0xffff.
  const auto from_start = std::vector(frame.begin() + 3, frame.end());
  const uint32_t total = ones_complement_sum(from_start) + uint32_t{0x1234};
  CHECK(((total & 0xffff) + (total >> 16)) == 0xffff);
  CHECK(frame[0] == std::byte{9});
}

TEST_CASE("a sum of zero is sent as all ones, which UDP takes for itself") {
  auto frame = bytes_of({0xff, 0xff, 0x00, 0x00});
  REQUIRE(complete_checksum(frame, 0, 2));
  CHECK(frame == bytes_of({0xff, 0xff, 0xff, 0xff}));
}

TEST_CASE("a field that is not in the frame is refused and nothing is touched") {
  for (const auto& [start, offset] : std::initializer_list<std::pair<int, int>>{
           {0, 3}, {3, 0}, {4, 0}, {65535, 65535}, {2, 1}, {0, 65535}}) {
    auto frame = bytes_of({1, 2, 3, 4});
    CHECK_FALSE(
        complete_checksum(frame, static_cast<uint16_t>(start), static_cast<uint16_t>(offset)));
    CHECK(frame == bytes_of({1, 2, 3, 4}));
  }
}

}  // namespace vmm::test
