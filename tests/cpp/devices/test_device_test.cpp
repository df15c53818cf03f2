// SPDX-License-Identifier: GPL-2.0-only
#include "devices/test_device.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "bus/bus.hpp"

namespace vmm::devices {
namespace {

template <class T>
T in(bus::Bus& bus, uint64_t address) {
  T value{};
  bus.read(address, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

template <class T>
bool out(bus::Bus& bus, uint64_t address, T value) {
  return bus.write(address, std::as_bytes(std::span(&value, 1)));
}

}  // namespace

TEST_CASE("the latch keeps what is written in every width, and nothing of what sticks out") {
  TestLatch latch;
  bus::Bus bus;
  bus.attach(0xe0, latch.kSizeBytes, latch, "latch");
  out<uint32_t>(bus, 0xe0, 0x44332211);
  CHECK(in<uint8_t>(bus, 0xe2) == 0x33);
  out<uint16_t>(bus, 0xe1, 0xbeef);
  CHECK(in<uint32_t>(bus, 0xe0) == 0x44beef11);
  CHECK(out<uint32_t>(bus, 0xe2, 0x99887766));
  CHECK(in<uint32_t>(bus, 0xe2) == 0xffff7766);
  CHECK(in<uint32_t>(bus, 0xe0) == 0x7766ef11);
}

TEST_CASE("the test memory takes every width up to its end") {
  const auto ram = std::make_unique<TestRam>();
  bus::Bus bus;
  bus.attach(0xff000000, ram->kSizeBytes, *ram, "ram");
  out<uint64_t>(bus, 0xff000008, 0x8877665544332211);
  CHECK(in<uint16_t>(bus, 0xff00000e) == 0x8877);
  CHECK(in<uint8_t>(bus, 0xff00000b) == 0x44);
  CHECK(out<uint64_t>(bus, 0xff00fff8, 1));
  CHECK(out<uint64_t>(bus, 0xff00fff9, 0x1122334455667788));
  CHECK(in<uint64_t>(bus, 0xff00fff8) == 0x2233445566778801);
}

TEST_CASE("a line follows the value written for it") {
  std::vector<std::pair<uint32_t, bool>> seen;
  TestIrqLines lines([&](uint32_t gsi, bool level) { seen.emplace_back(gsi, level); });
  bus::Bus bus;
  bus.attach(0x2000, lines.kSizeBytes, lines, "irq");
  out<uint8_t>(bus, 0x2005, 1);
  out<uint16_t>(bus, 0x2017 - 1, 0x0100);
  out<uint32_t>(bus, 0x2005, 0);
  out<uint32_t>(bus, 0x2017, 1);  // only the last line exists
  CHECK(seen ==
        std::vector<std::pair<uint32_t, bool>>{{5, true}, {22, true}, {5, false}, {23, true}});
  CHECK(in<uint8_t>(bus, 0x2005) == 0xff);
}

TEST_CASE("a flushed page keeps its content, and an address without memory does no harm") {
  memory::GuestMemory memory(1 << 20);
  TestFlushPage flush(memory);
  bus::Bus bus;
  bus.attach(0xe4, flush.kSizeBytes, flush, "flush");
  memory.write_object(memory::GuestAddress{0x3004}, uint32_t{0x12345678});
  out<uint32_t>(bus, 0xe4, 0x3ffc);
  CHECK(memory.read_object<uint32_t>(memory::GuestAddress{0x3004}) == 0x12345678);
  CHECK(memory.write_object(memory::GuestAddress{0x3004}, uint32_t{1}));
  out<uint32_t>(bus, 0xe4, 0x100000);
  out<uint32_t>(bus, 0xe4, 0xfffff000);
  out<uint16_t>(bus, 0xe4, 0x3000);
  CHECK(in<uint32_t>(bus, 0xe4) == 0xffffffff);
}

}  // namespace vmm::devices
