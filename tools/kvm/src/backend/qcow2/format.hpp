// SPDX-License-Identifier: GPL-2.0-only
//
// The numbers of a qcow2 file (QEMU's docs/interop/qcow2.txt), which are big-endian on disk.
// Declarations and pure functions; any thread.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vmm::backend::qcow2 {

static_assert(std::endian::native == std::endian::little);

template <std::unsigned_integral T>
T swapped(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
}

// Requires that the span holds enough bytes.
template <std::unsigned_integral T>
T load(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof value).data(), sizeof value);
  return swapped(value);
}

template <std::unsigned_integral T>
void store(std::span<std::byte> bytes, size_t offset, T value) {
  const T on_disk = swapped(value);
  std::memcpy(bytes.subspan(offset, sizeof value).data(), &on_disk, sizeof value);
}

inline constexpr uint32_t kMagic = 0x514649fb;  // "QFI\xfb"
inline constexpr uint32_t kMinClusterBits = 9;
inline constexpr uint32_t kMaxClusterBits = 21;
inline constexpr uint32_t kMaxRefcountOrder = 6;
inline constexpr uint32_t kDefaultRefcountOrder = 4;  // the only one in version 2
// QEMU's own limits.
inline constexpr uint64_t kMaxL1Bytes = 32ULL << 20;
inline constexpr uint64_t kMaxRefcountTableBytes = 8ULL << 20;
inline constexpr uint32_t kMaxBackingNameBytes = 1023;

// Offsets of header fields.
inline constexpr size_t kRefcountTableOffsetAt = 48;
inline constexpr size_t kAutoclearAt = 88;
inline constexpr size_t kVersion2Bytes = 72;
inline constexpr size_t kVersion3Bytes = 104;

inline constexpr uint64_t kIncompatibleDirty = 1ULL << 0;
inline constexpr uint64_t kIncompatibleCorrupt = 1ULL << 1;
inline constexpr uint64_t kIncompatibleDataFile = 1ULL << 2;
inline constexpr uint64_t kIncompatibleCompression = 1ULL << 3;
inline constexpr uint64_t kIncompatibleExtendedL2 = 1ULL << 4;
inline constexpr uint64_t kAutoclearBitmaps = 1ULL << 0;

inline constexpr uint32_t kExtensionEnd = 0;
inline constexpr uint32_t kExtensionBackingFormat = 0xe2792aca;

// Bits of L1 and L2 entries.
inline constexpr uint64_t kCopied = 1ULL << 63;  // its refcount is exactly one
inline constexpr uint64_t kCompressed = 1ULL << 62;
inline constexpr uint64_t kZero = 1ULL << 0;  // version 3 alone
inline constexpr uint64_t kOffsetMask = 0x00fffffffffffe00ULL;

inline constexpr uint64_t kSectorBytes = 512;

}  // namespace vmm::backend::qcow2
