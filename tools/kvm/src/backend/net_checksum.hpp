// SPDX-License-Identifier: GPL-2.0-only
//
// The Internet checksum (RFC 1071) that a driver left to the device (virtio 1.2, 5.1.6.2), for a
// backend whose network stack verifies it. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vmm::backend {

// The one's complement sum of the bytes as big-endian 16-bit words, an odd last byte padded.
uint16_t ones_complement_sum(std::span<const std::byte> bytes);

// Completes the checksum at `start + offset`, which holds the sum of the pseudo header, with all
// bytes from `start` on. False, with nothing changed, when it lies outside `frame`.
bool complete_checksum(std::span<std::byte> frame, uint16_t start, uint16_t offset);

}  // namespace vmm::backend
