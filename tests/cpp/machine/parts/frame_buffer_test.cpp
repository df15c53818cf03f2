// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/frame_buffer.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>

#include "arch/x86_64/layout.hpp"
#include "kvm/kvm.hpp"
#include "mapping_flags.hpp"

namespace vmm::machine {
namespace {

bool same(const std::vector<display::Rows>& rows,
          const std::vector<std::pair<uint32_t, uint32_t>>& expected) {
  if (rows.size() != expected.size()) return false;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].first != expected[i].first || rows[i].end != expected[i].second) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("what a display shows is no part of a core dump") {
  if (access(kvm::Kvm::kPath, R_OK | W_OK) != 0) {
    MESSAGE("no /dev/kvm: nothing tested");
    return;
  }
  const kvm::Kvm kvm;
  kvm::Vm vm(kvm);
  FrameBuffer screen(vm, {64, 64});
  const std::string flags = test::mapping_flags(screen.pixels().data());
  CHECK(flags.find(" dd") != std::string::npos);
}

TEST_CASE("pages that were written are rows of the screen") {
  const display::Geometry even{1024, 4};  // a page is a row
  CHECK(rows_of_pages(std::array<uint64_t, 1>{0}, even).empty());
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b0100}, even), {{2, 3}}));
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b1001}, even), {{0, 1}, {3, 4}}));
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b0110}, even), {{1, 3}}));
  const display::Geometry wide{3000,
                               100};  // 12000 bytes a row: a page ends one and begins the next
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{1ULL << 2}, wide), {{0, 2}}));
  const display::Geometry narrow{100, 30};  // 400 bytes: a little more than ten rows per page
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b01}, narrow), {{0, 11}}));
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b10}, narrow), {{10, 21}}));
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b11}, narrow), {{0, 21}}));
  // There are no rows after the last one.
  CHECK(same(rows_of_pages(std::array<uint64_t, 1>{0b100}, narrow), {{20, 30}}));
  CHECK(rows_of_pages(std::array<uint64_t, 1>{0b1000}, narrow).empty());
  const display::Geometry tall{1024, 200};
  CHECK(same(rows_of_pages(std::array<uint64_t, 4>{0, 1, 0, 1}, tall), {{64, 65}, {192, 193}}));
}

}  // namespace vmm::machine
