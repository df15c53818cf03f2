// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/dispatch.hpp"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cerrno>
#include <string>

#include "../devices/recorders.hpp"

namespace vmm::machine {
namespace {

using kvm::Direction;

struct Echo : bus::Device {
  void read(uint64_t offset, std::span<std::byte> data) override {
    for (std::byte& byte : data) byte = std::byte{static_cast<uint8_t>(0x10 + offset)};
  }
  void write(uint64_t, std::span<const std::byte> data) override {
    for (const std::byte byte : data) written += static_cast<char>(byte);
    ++writes;
  }
  std::string written;
  int writes = 0;
};

struct Fixture {
  Echo device;
  Buses buses;
  memory::GuestMemory memory{1 << 20};
  test::RecordingSink sink;
  devices::GuestEvents events{memory, sink};
  Fixture() {
    buses.pio.attach(0x3f8, 8, device, "com1");
    buses.mmio.attach(0xd0000000, 0x1000, device, "virtio");
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a port write reaches its device and the guest goes on") {
  std::array<std::byte, 1> data = {std::byte{'x'}};
  CHECK_FALSE(dispatch(kvm::Pio{Direction::kWrite, 0x3f8, 1, 1, data}, buses, events));
  CHECK(device.written == "x");
}

TEST_CASE_FIXTURE(Fixture, "string output is one access per element") {
  std::array<std::byte, 3> data = {std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  CHECK_FALSE(dispatch(kvm::Pio{Direction::kWrite, 0x3f8, 1, 3, data}, buses, events));
  CHECK(device.written == "abc");
  CHECK(device.writes == 3);
}

TEST_CASE_FIXTURE(Fixture, "a port read fills what the guest gets") {
  std::array<std::byte, 2> data{};
  CHECK_FALSE(dispatch(kvm::Pio{Direction::kRead, 0x3fa, 2, 1, data}, buses, events));
  CHECK(data[0] == std::byte{0x12});
}

TEST_CASE_FIXTURE(Fixture, "nobody's ports and addresses read as ones") {
  std::array<std::byte, 4> data{};
  CHECK_FALSE(dispatch(kvm::Pio{Direction::kRead, 0xcfc, 4, 1, data}, buses, events));
  CHECK(data[3] == std::byte{0xff});
  data.fill(std::byte{0});
  CHECK_FALSE(dispatch(kvm::Mmio{Direction::kRead, 0xe0000000, data}, buses, events));
  CHECK(data[0] == std::byte{0xff});
  CHECK_FALSE(dispatch(kvm::Mmio{Direction::kWrite, 0xe0000000, data}, buses, events));
}

TEST_CASE_FIXTURE(Fixture, "memory-mapped accesses reach their device") {
  std::array<std::byte, 4> data{};
  CHECK_FALSE(dispatch(kvm::Mmio{Direction::kRead, 0xd0000004, data}, buses, events));
  CHECK(data[0] == std::byte{0x14});
  CHECK_FALSE(dispatch(kvm::Mmio{Direction::kWrite, 0xd0000000, data}, buses, events));
  CHECK(device.written.size() == 4);
}

TEST_CASE_FIXTURE(Fixture, "an interruption is no reason to stop") {
  CHECK_FALSE(dispatch(kvm::Interrupted{}, buses, events));
}

TEST_CASE_FIXTURE(Fixture, "an end of interrupt goes to the IOAPIC, where there is one") {
  struct Output : devices::IoApic::Output {
    void set_routes(const devices::IoApic::Routes&) override {}
    void deliver(uint32_t) override { ++delivered; }
    int delivered = 0;
  } output;
  devices::IoApic io_apic(output);
  CHECK(dispatch(kvm::IoApicEoi{0x41}, buses, events));
  buses.io_apic = &io_apic;
  const auto poke = [&](uint64_t offset, uint32_t value) {
    io_apic.write(offset, std::as_bytes(std::span(&value, 1)));
  };
  poke(0x00, 0x10 + 2 * 9);
  poke(0x10, 0x41 | 1U << 15);  // level-triggered
  io_apic.set_line(9, true);
  CHECK_FALSE(dispatch(kvm::IoApicEoi{0x41}, buses, events));
  CHECK(output.delivered == 2);
}

TEST_CASE_FIXTURE(Fixture, "terminal exits stop with their reason and details") {
  const auto reason = [&](const kvm::Exit& exit) {
    const auto stop = dispatch(exit, buses, events);
    REQUIRE(stop);
    return std::string(name_of(stop->reason)) + ": " + stop->detail;
  };
  CHECK(reason(kvm::Shutdown{}) == "shutdown: triple fault");
  CHECK(reason(kvm::SystemEvent{2}) == "system_event: system event type 2");
  CHECK(reason(kvm::InternalError{1, "bytes 0f c7"}) == "internal_error: bytes 0f c7");
  CHECK(reason(kvm::FailEntry{7, 3}) ==
        "fail_entry: the processor refused to enter the guest, reason 7 on CPU 3");
}

TEST_CASE_FIXTURE(Fixture, "a hypercall with guest events gets its answer") {
  if (devices::GuestEvents::hypercall_mask() == 0) return;  // headers of another tree
  const auto number =
      static_cast<uint64_t>(std::countr_zero(devices::GuestEvents::hypercall_mask()));
  uint64_t result = 1;
  const auto bytes = std::as_writable_bytes(std::span(&result, 1));
  CHECK_FALSE(dispatch(kvm::Hypercall{number, 0x123, bytes}, buses, events));
  CHECK(static_cast<int64_t>(result) == -EINVAL);
}

TEST_CASE_FIXTURE(Fixture, "exits nobody asked for are our own error") {
  for (const kvm::Exit& exit : {kvm::Exit{kvm::Halt{}}, kvm::Exit{kvm::Debug{}},
                                kvm::Exit{kvm::Hypercall{9, 0, {}}}, kvm::Exit{kvm::Unknown{42}}}) {
    const auto stop = dispatch(exit, buses, events);
    REQUIRE(stop);
    CHECK(stop->reason == StopReason::kVmmError);
  }
}

}  // namespace vmm::machine
