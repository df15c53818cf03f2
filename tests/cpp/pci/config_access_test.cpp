// SPDX-License-Identifier: GPL-2.0-only
#include "pci/config_access.hpp"

#include <doctest/doctest.h>

#include "mock_function.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kData = 4;

struct Fixture {
  pci::Root root{0xd1000000, 1 << 20, 0xd1000000};
  MockFunction function;
  MockBarRegisters reset_control;
  pci::ConfigPorts ports{root, reset_control};
  pci::Ecam ecam{root};

  Fixture() { root.attach(function, "function"); }

  template <class T>
  T get(bus::Device& device, uint64_t offset) {
    T value{};
    device.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set(bus::Device& device, uint64_t offset, T value) {
    device.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  static constexpr uint32_t address(uint32_t slot, uint32_t place, uint32_t bus = 0) {
    return 1U << 31 | bus << 16 | slot << 11 | place;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "mechanism 1: the address register keeps the bits there are") {
  set<uint32_t>(ports, 0, 0xffffffff);
  CHECK(get<uint32_t>(ports, 0) == 0x80fffffc);
}

TEST_CASE_FIXTURE(Fixture, "mechanism 1: data of each width at each place") {
  set<uint32_t>(ports, 0, address(1, PCI_VENDOR_ID));
  CHECK(get<uint32_t>(ports, kData) == 0x56781234);
  CHECK(get<uint16_t>(ports, kData + 2) == 0x5678);
  CHECK(get<uint8_t>(ports, kData + 1) == 0x12);
  set<uint32_t>(ports, 0, address(1, PCI_BASE_ADDRESS_0));
  set<uint32_t>(ports, kData, 0xd1080000);
  CHECK(function.get<uint32_t>(PCI_BASE_ADDRESS_0) == 0xd1080000);
}

TEST_CASE_FIXTURE(Fixture, "mechanism 1: nobody answers for absent functions or when disabled") {
  for (const uint32_t place : {address(2, 0), address(1, 0, 1), address(1, 0) & ~(1U << 31)}) {
    CAPTURE(place);
    set<uint32_t>(ports, 0, place);
    CHECK(get<uint32_t>(ports, kData) == 0xffffffff);
    set<uint32_t>(ports, kData, 0);
  }
}

TEST_CASE_FIXTURE(Fixture, "mechanism 1: the reset control register shows through") {
  set<uint32_t>(ports, 0, address(1, 0));
  set<uint8_t>(ports, 1, 6);
  CHECK(reset_control.written == std::vector<uint64_t>{1});
  CHECK(get<uint8_t>(ports, 1) == 1);
  // Other accesses to parts of the address register are unclaimed, as drivers' probes expect.
  set<uint8_t>(ports, 3, 1);
  set<uint16_t>(ports, 0, 0);
  CHECK(get<uint8_t>(ports, 3) == 0xff);
  CHECK(get<uint32_t>(ports, 0) == address(1, 0));
  CHECK(reset_control.written.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "ECAM: each function has a page") {
  CHECK(get<uint32_t>(ecam, 1 << 15) == 0x56781234);
  CHECK(get<uint16_t>(ecam, (1 << 15) + 2) == 0x5678);
  set<uint32_t>(ecam, (1 << 15) + PCI_BASE_ADDRESS_0, 0xd1080000);
  CHECK(function.get<uint32_t>(PCI_BASE_ADDRESS_0) == 0xd1080000);
  CHECK(get<uint32_t>(ecam, (1 << 15) + 0x100) == 0);
}

TEST_CASE_FIXTURE(Fixture, "ECAM: absent functions and straddling accesses read as ones") {
  CHECK(get<uint32_t>(ecam, 2 << 15) == 0xffffffff);
  CHECK(get<uint32_t>(ecam, (1 << 15) + (1 << 12)) == 0xffffffff);
  CHECK(get<uint32_t>(ecam, (1 << 15) + 0xffe) == 0xffffffff);
  CHECK(get<uint32_t>(ecam, pci::Ecam::kSizeBytes - 4) == 0xffffffff);
  set<uint32_t>(ecam, (1 << 15) + 0xffe, 0);
}

}  // namespace vmm::test
