// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/page_tables.hpp"

#include <array>
#include <cassert>

#include "arch/x86_64/layout.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

constexpr uint64_t kPresentWritable = 0x3;
constexpr uint64_t kLargePage = 0x80;
constexpr uint64_t kLargePageSize = 2 * layout::kMiB;
constexpr uint64_t kEntries = 512;
constexpr uint64_t kDirectories = 4;  // of 1 GiB each

using Table = std::array<uint64_t, kEntries>;

void put(memory::GuestMemory& memory, uint64_t address, const auto& object) {
  const bool written = memory.write_object(GuestAddress{address}, object);
  assert(written);
  static_cast<void>(written);
}

}  // namespace

void write_page_tables(memory::GuestMemory& memory) {
  constexpr uint64_t kPointers = layout::kPageTables + layout::kPageSize;
  constexpr uint64_t kFirstDirectory = kPointers + layout::kPageSize;
  static_assert(kFirstDirectory + kDirectories * layout::kPageSize <= layout::kCommandLine);

  Table root{};
  root[0] = kPointers | kPresentWritable;
  put(memory, layout::kPageTables, root);

  Table pointers{};
  for (uint64_t i = 0; i < kDirectories; ++i) {
    pointers[i] = (kFirstDirectory + i * layout::kPageSize) | kPresentWritable;
  }
  put(memory, kPointers, pointers);

  for (uint64_t i = 0; i < kDirectories; ++i) {
    Table directory;
    for (uint64_t entry = 0; entry < kEntries; ++entry) {
      directory[entry] = (i * kEntries + entry) * kLargePageSize | kPresentWritable | kLargePage;
    }
    put(memory, kFirstDirectory + i * layout::kPageSize, directory);
  }
}

void write_gdt(memory::GuestMemory& memory) {
  const std::array<uint64_t, 6> descriptors = {
      0,
      0,
      0x00af9b000000ffff,  // kSelectorCode: 64-bit code
      0x00cf93000000ffff,  // kSelectorData: flat data
      0x00008b0000000067,  // kSelectorTask: busy 64-bit TSS, never used
      0,
  };
  put(memory, layout::kGdt, descriptors);
}

}  // namespace vmm::arch
