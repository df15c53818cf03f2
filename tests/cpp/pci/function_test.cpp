// SPDX-License-Identifier: GPL-2.0-only
#include "pci/function.hpp"

#include <doctest/doctest.h>

#include <array>

#include "mock_function.hpp"

namespace vmm::test {

TEST_CASE("a function's identity is read-only") {
  MockFunction function;
  CHECK(function.get<uint16_t>(PCI_VENDOR_ID) == 0x1234);
  CHECK(function.get<uint32_t>(PCI_CLASS_REVISION) == 0x02000003);
  CHECK(function.get<uint8_t>(PCI_HEADER_TYPE) == 0);
  for (uint64_t offset = 0; offset < 0x3c; offset += 4) {
    if (offset == PCI_BASE_ADDRESS_0 || offset == PCI_BASE_ADDRESS_1) continue;
    if (offset == PCI_COMMAND || offset == PCI_CACHE_LINE_SIZE) continue;
    CAPTURE(offset);
    const auto before = function.get<uint32_t>(offset);
    function.set<uint32_t>(offset, ~before);
    CHECK(function.get<uint32_t>(offset) == before);
  }
}

TEST_CASE("the command register takes the bits that mean something here") {
  MockFunction function;
  function.set<uint16_t>(PCI_COMMAND, 0xffff);
  CHECK(function.get<uint16_t>(PCI_COMMAND) ==
        (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
  CHECK((function.get<uint16_t>(PCI_STATUS) & PCI_STATUS_CAP_LIST) != 0);
}

TEST_CASE("a bar tells its size and keeps its type bits") {
  MockFunction function;
  function.set<uint32_t>(PCI_BASE_ADDRESS_0, 0xffffffff);
  CHECK(function.get<uint32_t>(PCI_BASE_ADDRESS_0) == ~(MockFunction::kBarBytes - 1));
  function.set<uint32_t>(PCI_BASE_ADDRESS_2, 0xffffffff);
  CHECK(function.get<uint32_t>(PCI_BASE_ADDRESS_2) == 0);
  function.set<uint8_t>(PCI_BASE_ADDRESS_0 + 3, 0x12);  // single bytes work too
  CHECK(function.get<uint32_t>(PCI_BASE_ADDRESS_0) == 0x12ffe000);
}

TEST_CASE("a bar is decoded while the command register says so") {
  MockFunction function;
  const pci::Bar& bar = *function.bars()[1];
  function.set<uint32_t>(PCI_BASE_ADDRESS_0, 0xd0002000);
  CHECK(bar.address == pci::Bar::kUnmapped);
  CHECK_FALSE(bar.holds(0xd0002000, 4));
  function.set<uint16_t>(PCI_COMMAND, PCI_COMMAND_MEMORY);
  CHECK(bar.address == 0xd0002000);
  CHECK(bar.holds(0xd0002000, 4));
  CHECK(bar.holds(0xd0003ffc, 4));
  CHECK_FALSE(bar.holds(0xd0003ffd, 4));
  CHECK_FALSE(bar.holds(0xd0001fff, 2));
  function.set<uint16_t>(PCI_COMMAND, 0);
  CHECK_FALSE(bar.holds(0xd0002000, 4));
}

TEST_CASE("a function goes back to its checkpoint, its bars and MSI-X too") {
  MockFunction function;
  const pci::Bar& bar = *function.bars()[1];
  const uint64_t at = function.get<uint8_t>(PCI_CAPABILITY_LIST);
  function.set<uint32_t>(PCI_BASE_ADDRESS_0, 0xd0002000);
  function.set<uint16_t>(PCI_COMMAND, PCI_COMMAND_MEMORY);
  function.set<uint16_t>(at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
  const auto flags = function.get<uint16_t>(at + PCI_MSIX_FLAGS);
  function.checkpoint();
  function.set<uint16_t>(PCI_COMMAND, 0);
  function.set<uint32_t>(PCI_BASE_ADDRESS_0, 0xe0000000);
  function.set<uint16_t>(at + PCI_MSIX_FLAGS, 0);
  function.rewind();
  CHECK(bar.address == 0xd0002000);
  CHECK(function.get<uint16_t>(PCI_COMMAND) == PCI_COMMAND_MEMORY);
  CHECK(function.get<uint16_t>(at + PCI_MSIX_FLAGS) == flags);
}

TEST_CASE("accesses past the conventional space read as zero and change nothing") {
  MockFunction function;
  CHECK(function.get<uint32_t>(0x100) == 0);
  CHECK(function.get<uint32_t>(0xffc) == 0);
  std::array<std::byte, 8> data{};
  data.fill(std::byte{0xff});
  function.write_config(0xfc, data);
  function.read_config(0xfc, data);
  CHECK(data[7] == std::byte{0});
}

TEST_CASE("the MSI-X capability says where table and pending bits are") {
  MockFunction function;
  const uint64_t at = function.get<uint8_t>(PCI_CAPABILITY_LIST);
  CHECK(function.get<uint8_t>(at) == PCI_CAP_ID_MSIX);
  CHECK(function.get<uint8_t>(at + 1) == 0);
  CHECK(function.get<uint16_t>(at + PCI_MSIX_FLAGS) == 2);  // three vectors
  CHECK(function.get<uint32_t>(at + PCI_MSIX_TABLE) == 1);
  CHECK(function.get<uint32_t>(at + PCI_MSIX_PBA) == (pci::MsixTable::kPendingOffset | 1));
  function.set<uint16_t>(at + PCI_MSIX_FLAGS, 0xffff);
  CHECK(function.get<uint16_t>(at + PCI_MSIX_FLAGS) ==
        (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | 2));
}

TEST_CASE("a write to the MSI-X control word takes effect") {
  MockFunction function;
  const uint32_t unmasked = 0;
  function.msix.write(12, std::as_bytes(std::span(&unmasked, 1)));
  function.msix.raise(0);
  CHECK(function.messages.sent.empty());
  const uint64_t at = function.get<uint8_t>(PCI_CAPABILITY_LIST);
  function.set<uint16_t>(at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
  function.msix.raise(0);
  CHECK(function.messages.sent.size() == 1);
}

}  // namespace vmm::test
