// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/aml.hpp"

#include <cassert>

#include "arch/x86_64/table_writer.hpp"

namespace vmm::arch::aml {
namespace {

// 20.2.
constexpr uint8_t kName = 0x08;
constexpr uint8_t kByte = 0x0a;
constexpr uint8_t kDword = 0x0c;
constexpr uint8_t kString = 0x0d;
constexpr uint8_t kScope = 0x10;
constexpr uint8_t kBuffer = 0x11;
constexpr uint8_t kPackage = 0x12;
constexpr uint8_t kExtended = 0x5b;
constexpr uint8_t kDevice = 0x82;

// 6.4.2 and 6.4.3.
constexpr uint8_t kIoPorts = 0x47;
constexpr uint8_t kEndTag = 0x79;
constexpr uint8_t kFixedMemory = 0x86;
constexpr uint8_t kDwordSpace = 0x87;
constexpr uint8_t kWordSpace = 0x88;
constexpr uint8_t kInterrupt = 0x89;
constexpr uint8_t kSpaceMemory = 0;
constexpr uint8_t kSpaceBus = 2;
constexpr uint8_t kBothEndsFixed = 3 << 2;
constexpr uint8_t kReadWrite = 1;
constexpr uint8_t kDecode16 = 1;
constexpr uint8_t kConsumedEdgeHighShared = 1 << 0 | 1 << 1 | 1 << 3;

// The length includes its own bytes (20.2.4).
Bytes with_length(const Bytes& contents) {
  TableWriter length;
  if (contents.size() + 1 < 64) {
    length.u8(static_cast<uint8_t>(contents.size() + 1));
  } else {
    const size_t total = contents.size() + 2;
    assert(total < 1 << 12);
    length.u8(static_cast<uint8_t>(1 << 6 | (total & 0xf))).u8(static_cast<uint8_t>(total >> 4));
  }
  return concat({length.take(), contents});
}

Bytes code(std::initializer_list<uint8_t> bytes) {
  TableWriter writer;
  for (const uint8_t byte : bytes) writer.u8(byte);
  return writer.take();
}

Bytes characters(std::string_view text) { return TableWriter().text(text).take(); }

}  // namespace

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Bytes integer(uint32_t value) {
  if (value <= 0xff) return code({kByte, static_cast<uint8_t>(value)});
  return TableWriter().u8(kDword).u32(value).take();
}

Bytes string(std::string_view text) { return TableWriter().u8(kString).text(text).u8(0).take(); }

Bytes package(std::initializer_list<Bytes> elements) {
  const Bytes count = code({static_cast<uint8_t>(elements.size())});
  return concat({code({kPackage}), with_length(concat({count, concat(elements)}))});
}

Bytes name(std::string_view name, const Bytes& object) {
  assert(name.size() == 4);
  return concat({code({kName}), characters(name), object});
}

Bytes device(std::string_view name, const Bytes& contents) {
  assert(name.size() == 4);
  return concat({code({kExtended, kDevice}), with_length(concat({characters(name), contents}))});
}

Bytes scope(std::string_view name, const Bytes& contents) {
  return concat({code({kScope}), with_length(concat({characters(name), contents}))});
}

Bytes eisa_id(std::string_view id) {
  assert(id.size() == 7);
  uint32_t packed = 0;
  for (const char letter : id.substr(0, 3)) packed = packed << 5 | (letter - '@');
  for (const char digit : id.substr(3)) {
    packed = packed << 4 | static_cast<uint32_t>(digit <= '9' ? digit - '0' : digit - 'A' + 10);
  }
  return TableWriter().u8(kDword).u32(__builtin_bswap32(packed)).take();
}

Bytes resources(std::initializer_list<Bytes> descriptors) {
  const Bytes all = concat({concat(descriptors), code({kEndTag, 0})});
  const Bytes size = integer(static_cast<uint32_t>(all.size()));
  return concat({code({kBuffer}), with_length(concat({size, all}))});
}

Bytes fixed_memory(uint64_t start, uint64_t length) {
  return TableWriter().u8(kFixedMemory).u16(9).u8(kReadWrite).u32(start).u32(length).take();
}

Bytes io_ports(uint16_t first, uint8_t count) {
  return TableWriter().u8(kIoPorts).u8(kDecode16).u16(first).u16(first).u8(1).u8(count).take();
}

Bytes edge_interrupt(uint32_t gsi) {
  return TableWriter().u8(kInterrupt).u16(6).u8(kConsumedEdgeHighShared).u8(1).u32(gsi).take();
}

Bytes bus_numbers(uint16_t first, uint16_t last) {
  TableWriter writer;
  writer.u8(kWordSpace).u16(13).u8(kSpaceBus).u8(kBothEndsFixed).u8(0);
  writer.u16(0).u16(first).u16(last).u16(0).u16(last - first + 1U);
  return writer.take();
}

Bytes memory_window(uint64_t start, uint64_t length) {
  TableWriter writer;
  writer.u8(kDwordSpace).u16(23).u8(kSpaceMemory).u8(kBothEndsFixed).u8(kReadWrite);
  writer.u32(0).u32(start).u32(start + length - 1).u32(0).u32(length);
  return writer.take();
}

}  // namespace vmm::arch::aml
