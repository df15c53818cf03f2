// SPDX-License-Identifier: GPL-2.0-only
#include "pci/msix.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>

#include <array>
#include <chrono>
#include <thread>

#include "base/event_loop.hpp"
#include "base/event_source.hpp"
#include "mock_function.hpp"

namespace vmm::test {
namespace {

using Sent = std::vector<std::pair<uint64_t, uint32_t>>;

struct Fixture {
  MockMessages messages;
  pci::MsixTable table{messages, 40};

  uint32_t get(uint64_t offset) {
    uint32_t value = 0;
    table.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void set(uint64_t offset, uint32_t value) {
    table.write(offset, std::as_bytes(std::span(&value, 1)));
  }
  void set_up(uint64_t vector, uint64_t address, uint32_t data, uint32_t control = 0) {
    set(vector * 16, static_cast<uint32_t>(address));
    set(vector * 16 + 4, static_cast<uint32_t>(address >> 32));
    set(vector * 16 + 8, data);
    set(vector * 16 + 12, control);
  }
};

// Vector 2 has its own source.
struct WiredFixture : Fixture {
  base::EventLoop loop;
  base::EventSource source{loop, [this] { table.raise(2); }};

  WiredFixture() {
    table.set_control(PCI_MSIX_FLAGS_ENABLE);
    table.wire(2, source);
  }
  ~WiredFixture() { table.unwire(source); }

  void write() const { REQUIRE(eventfd_write(source.fd(), 1) == 0); }
  // Whether the eventfd is unread: its new reader would read it, but there is none here.
  bool unread() const {
    eventfd_t count = 0;
    return eventfd_read(source.fd(), &count) == 0;
  }
  bool becomes_pending() {
    for (int tries = 0; tries < 5000; ++tries) {
      if (get(pci::MsixTable::kPendingOffset) == 1U << 2) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  Sent passed() const {
    Sent all;
    for (const auto& [fd, message] : messages.passed) all.push_back(message);
    return all;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "every vector is masked at first") {
  CHECK(get(12) == PCI_MSIX_ENTRY_CTRL_MASKBIT);
  CHECK(get(39 * 16 + 12) == PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

TEST_CASE_FIXTURE(Fixture, "a raised vector sends its own message") {
  set_up(3, 0x1fee01000, 0x4051);
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  table.raise(3);
  table.raise(3);
  CHECK(messages.sent == Sent{{0x1fee01000, 0x4051}, {0x1fee01000, 0x4051}});
}

TEST_CASE_FIXTURE(Fixture, "without MSI-X nothing is sent and nothing is remembered") {
  set_up(0, 0xfee00000, 1);
  table.raise(0);
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  CHECK(messages.sent.empty());
}

TEST_CASE_FIXTURE(Fixture, "a masked vector is pending until it is unmasked, and comes once") {
  set_up(33, 0xfee00000, 33, PCI_MSIX_ENTRY_CTRL_MASKBIT);
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  table.raise(33);
  table.raise(33);
  CHECK(messages.sent.empty());
  CHECK(get(pci::MsixTable::kPendingOffset) == 0);
  CHECK(get(pci::MsixTable::kPendingOffset + 4) == 1U << 1);
  set(33 * 16 + 12, 0);
  CHECK(messages.sent == Sent{{0xfee00000, 33}});
  CHECK(get(pci::MsixTable::kPendingOffset + 4) == 0);
}

TEST_CASE_FIXTURE(Fixture, "the function's mask holds all of them back") {
  set_up(0, 0xfee00000, 7);
  set_up(1, 0xfee00000, 8);
  table.set_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  table.raise(0);
  table.raise(1);
  CHECK(messages.sent.empty());
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  CHECK(messages.sent == Sent{{0xfee00000, 7}, {0xfee00000, 8}});
}

TEST_CASE_FIXTURE(Fixture, "the table takes doublewords and quadwords, aligned") {
  uint64_t both = 0x1122334455667788;
  table.write(16, std::as_bytes(std::span(&both, 1)));
  CHECK(get(16) == 0x55667788);
  CHECK(get(20) == 0x11223344);
  both = 0;
  table.read(16, std::as_writable_bytes(std::span(&both, 1)));
  CHECK(both == 0x1122334455667788);
  table.write(20, std::as_bytes(std::span(&both, 1)));  // misaligned
  CHECK(get(24) == 0);
  std::array<std::byte, 2> half{};
  table.write(16, half);
  CHECK(get(16) == 0x55667788);
  table.read(16, half);
  CHECK(half[0] == std::byte{0xff});
}

TEST_CASE_FIXTURE(Fixture, "past the vectors there is nothing, and pending bits are read-only") {
  set(40 * 16, 0x12345678);
  CHECK(get(40 * 16) == 0);
  set(pci::MsixTable::kPendingOffset, 0xffffffff);
  CHECK(get(pci::MsixTable::kPendingOffset) == 0);
  CHECK(get(pci::MsixTable::kSizeBytes - 4) == 0);
  set(12, 0xffffffff);
  CHECK(get(12) == PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

TEST_CASE_FIXTURE(Fixture, "the table goes back to its checkpoint") {
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  set_up(1, 0xfee00000, 0x41);
  set_up(2, 0xfee00000, 0x42, PCI_MSIX_ENTRY_CTRL_MASKBIT);
  table.raise(2);
  table.checkpoint();
  for (int round = 0; round < 2; ++round) {
    set_up(1, 0xfee01000, 0x51, PCI_MSIX_ENTRY_CTRL_MASKBIT);
    set_up(2, 0xfee01000, 0x52);
    messages.sent.clear();
    table.rewind();
    CHECK(messages.sent.empty());
    CHECK(get(pci::MsixTable::kPendingOffset) == 1U << 2);
    table.raise(1);
    CHECK(messages.sent == Sent{{0xfee00000, 0x41}});
  }
}

TEST_CASE_FIXTURE(WiredFixture,
                  "a wired vector's messages are passed on while the guest has them") {
  CHECK(passed().empty());
  set_up(2, 0xfee01000, 0x4051);
  CHECK(passed() == Sent{{0xfee01000, 0x4051}});
  write();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(unread());
  CHECK(messages.sent.empty());
  table.set_control(0);
  CHECK(passed().empty());
}

TEST_CASE_FIXTURE(WiredFixture, "what a wired vector's source says while masked is pending") {
  set_up(2, 0xfee01000, 0x4051);
  SUBCASE("by its own mask") { set(2 * 16 + 12, PCI_MSIX_ENTRY_CTRL_MASKBIT); }
  SUBCASE("by the function's") {
    table.set_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  }
  CHECK(passed().empty());
  write();
  CHECK(becomes_pending());
  CHECK(messages.sent.empty());
  set(2 * 16 + 12, 0);
  table.set_control(PCI_MSIX_FLAGS_ENABLE);
  CHECK(messages.sent == Sent{{0xfee01000, 0x4051}});
  CHECK(passed() == Sent{{0xfee01000, 0x4051}});
}

TEST_CASE_FIXTURE(WiredFixture, "a wired vector follows its message") {
  set_up(2, 0xfee01000, 0x4051);
  set(2 * 16, 0xfee02000);
  CHECK(passed() == Sent{{0xfee02000, 0x4051}});
  set(2 * 16 + 8, 0x4061);
  CHECK(passed() == Sent{{0xfee02000, 0x4061}});
}

TEST_CASE_FIXTURE(WiredFixture, "a vector may have several sources") {
  base::EventSource other(loop, [this] { table.raise(2); });
  set_up(2, 0xfee01000, 0x4051);
  table.wire(2, other);
  CHECK(passed() == Sent{{0xfee01000, 0x4051}, {0xfee01000, 0x4051}});
  table.unwire(other);
  CHECK(passed().size() == 1);
}

TEST_CASE_FIXTURE(WiredFixture, "where messages cannot be passed on they are sent from here") {
  messages.takes = false;
  set_up(2, 0xfee01000, 0x4051);
  set(2 * 16 + 12, PCI_MSIX_ENTRY_CTRL_MASKBIT);
  write();
  CHECK(becomes_pending());
  set(2 * 16 + 12, 0);
  CHECK(messages.sent == Sent{{0xfee01000, 0x4051}});
}

}  // namespace vmm::test
