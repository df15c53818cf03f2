// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/page_tables.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "arch/x86_64/layout.hpp"

namespace vmm::arch {
namespace {

using memory::GuestAddress;

// Walks the tables as the processor does, down to a 2 MiB page.
std::optional<uint64_t> translate(const memory::GuestMemory& memory, uint64_t address) {
  uint64_t table = layout::kPageTables;
  for (const int shift : {39, 30, 21}) {
    const auto entry =
        memory.read_object<uint64_t>(GuestAddress{table + (address >> shift & 511) * 8});
    if (!entry || (*entry & 3) != 3) return std::nullopt;
    if (shift == 21) {
      if ((*entry & 0x80) == 0) return std::nullopt;
      return (*entry & ~0x1fffffULL) | (address & 0x1fffff);
    }
    table = *entry & ~0xfffULL;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("the first 4 GiB are mapped one to one and nothing above") {
  memory::GuestMemory memory(2 << 20);
  write_page_tables(memory);
  for (const uint64_t address :
       {0x0ULL, 0x1000000ULL, 0x7fffffffULL, 0xfee00000ULL, 0xffffffffULL}) {
    CAPTURE(address);
    CHECK(translate(memory, address) == address);
  }
  CHECK_FALSE(translate(memory, 1ULL << 32));
  CHECK_FALSE(translate(memory, 1ULL << 40));
}

TEST_CASE("the GDT has the selectors of the boot protocol") {
  memory::GuestMemory memory(2 << 20);
  write_gdt(memory);
  const auto code =
      memory.read_object<uint64_t>(GuestAddress{layout::kGdt + layout::kSelectorCode});
  const auto data =
      memory.read_object<uint64_t>(GuestAddress{layout::kGdt + layout::kSelectorData});
  REQUIRE(code);
  REQUIRE(data);
  CHECK((*code >> 53 & 1) == 1);  // L: 64-bit code
  CHECK((*code >> 40 & 0xf) == 0xb);
  CHECK((*data >> 40 & 0xf) == 0x3);
}

}  // namespace vmm::arch
