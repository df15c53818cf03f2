// SPDX-License-Identifier: GPL-2.0-only
#include "backend/net_checksum.hpp"

#include <bit>
#include <cstring>

namespace vmm::backend {
namespace {

static_assert(std::endian::native == std::endian::little);

uint16_t swap_bytes(uint16_t value) { return static_cast<uint16_t>(value << 8 | value >> 8); }

}  // namespace

uint16_t ones_complement_sum(std::span<const std::byte> bytes) {
  // The sum is the same in either byte order except for a final swap (RFC 1071, 2 B). It overflows
  // only after 2^32 words of 32 bits.
  uint64_t sum = 0;
  while (bytes.size() >= sizeof(uint32_t)) {
    uint32_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    sum += word;
    bytes = bytes.subspan(sizeof word);
  }
  uint32_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  sum += rest;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return swap_bytes(static_cast<uint16_t>(sum));
}

bool complete_checksum(std::span<std::byte> frame, uint16_t start, uint16_t offset) {
  const size_t place = size_t{start} + offset;
  if (place + sizeof(uint16_t) > frame.size()) return false;
  // Zero means "no checksum" in UDP; all ones is the same number in one's complement.
  auto sum = static_cast<uint16_t>(~ones_complement_sum(frame.subspan(start)));
  if (sum == 0) sum = 0xffff;
  const uint16_t stored = swap_bytes(sum);
  std::memcpy(frame.subspan(place).data(), &stored, sizeof stored);
  return true;
}

}  // namespace vmm::backend
