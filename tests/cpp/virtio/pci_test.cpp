// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/pci.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "base/event_loop.hpp"
#include "guest_driver.hpp"
#include "virtio/device/rng.hpp"

namespace vmm::test {
namespace {

using virtio::PciTransport;

constexpr uint8_t kData = sizeof(virtio_pci_cap);  // the window's data, from its capability's start

struct Fixture {
  virtio::Rng rng;
  GuestDriver driver{rng, Transport::kPci, Rings::kPacked};
  PciRegisters& pci = static_cast<PciRegisters&>(driver.registers());

  uint8_t structure(uint8_t type) {
    for (int nth = 0;; ++nth) {
      const uint8_t at = pci.capability(PCI_CAP_ID_VNDR, nth);
      if (at == 0 || pci.config<uint8_t>(at + 3ULL) == type) return at;
    }
  }
  void aim_window(uint8_t bar, uint32_t offset, uint32_t length) {
    const uint64_t at = structure(VIRTIO_PCI_CAP_PCI_CFG);
    pci.set_config<uint8_t>(at + VIRTIO_PCI_CAP_BAR, bar);
    pci.set_config<uint32_t>(at + VIRTIO_PCI_CAP_OFFSET, offset);
    pci.set_config<uint32_t>(at + VIRTIO_PCI_CAP_LENGTH, length);
  }
  uint64_t window_data() { return structure(VIRTIO_PCI_CAP_PCI_CFG) + uint64_t{kData}; }
  bool serves() {
    driver.add(0, {writable(MockDriver::kBuffers, 16)});
    pci.notify(0);
    return driver.take_used(0).has_value();
  }
};

// One queue, served elsewhere, whose used buffers an eventfd reports.
class Served final : public virtio::Device {
 public:
  explicit Served(base::EventLoop& loop)
      : source_(loop, [this] {
          if (auto* interrupt = interrupt_.load()) interrupt->queue_used(0);
        }) {}

  uint32_t type() const override { return VIRTIO_ID_RNG; }
  uint64_t features() const override { return 0; }
  std::span<const uint16_t> queue_max_sizes() const override { return kSizes; }
  void read_config(uint64_t, std::span<std::byte> data) const override {
    std::ranges::fill(data, std::byte{0});
  }
  void write_config(uint64_t, std::span<const std::byte>) override {}
  uint32_t config_generation() const override { return 0; }
  void activate(virtio::Activation activation) override { interrupt_ = activation.interrupt; }
  void notify(uint16_t) override {}
  void stop_queue(uint16_t) override {}
  void reset() override { interrupt_ = nullptr; }
  base::EventSource* used_source(uint16_t) override { return &source_; }

 private:
  static constexpr std::array<uint16_t, 1> kSizes = {8};
  std::atomic<virtio::Interrupt*> interrupt_ = nullptr;
  base::EventSource source_;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "pci: the ids say virtio 1.x and which device") {
  CHECK(pci.config<uint16_t>(PCI_VENDOR_ID) == 0x1af4);
  CHECK(pci.config<uint16_t>(PCI_DEVICE_ID) == 0x1040 + VIRTIO_ID_RNG);
  CHECK(pci.config<uint8_t>(PCI_REVISION_ID) >= 1);
  CHECK(pci.config<uint16_t>(PCI_SUBSYSTEM_ID) >= 0x40);
  CHECK(pci.config<uint8_t>(PCI_INTERRUPT_PIN) == 0);
}

TEST_CASE_FIXTURE(Fixture, "pci: every structure has its capability, inside its bar") {
  for (const int type : {VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_NOTIFY_CFG,
                         VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_CAP_DEVICE_CFG}) {
    CAPTURE(type);
    const uint64_t at = structure(static_cast<uint8_t>(type));
    REQUIRE(at != 0);
    CHECK(pci.config<uint8_t>(at + VIRTIO_PCI_CAP_BAR) == 0);
    const uint64_t offset = pci.config<uint32_t>(at + VIRTIO_PCI_CAP_OFFSET);
    const uint64_t length = pci.config<uint32_t>(at + VIRTIO_PCI_CAP_LENGTH);
    CHECK(length > 0);
    CHECK(offset + length <= PciTransport::kSizeBytes);
    pci.set_config<uint32_t>(at + VIRTIO_PCI_CAP_OFFSET, 0x77777777);
    CHECK(pci.config<uint32_t>(at + VIRTIO_PCI_CAP_OFFSET) == offset);
  }
  const uint64_t notify = structure(VIRTIO_PCI_CAP_NOTIFY_CFG);
  CHECK(pci.config<uint8_t>(notify + VIRTIO_PCI_CAP_LEN) == sizeof(virtio_pci_notify_cap));
  CHECK(pci.config<uint32_t>(notify + VIRTIO_PCI_NOTIFY_CAP_MULT) == 4);
}

TEST_CASE_FIXTURE(Fixture, "pci: fields answer to their own width alone") {
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_NUMQ) == 1);
  CHECK(pci.get<uint8_t>(VIRTIO_PCI_COMMON_NUMQ) == 0xff);
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_NUMQ) == 0xffffffff);
  CHECK(pci.get<uint64_t>(VIRTIO_PCI_COMMON_Q_DESCLO) == ~0ULL);
  pci.set<uint32_t>(VIRTIO_PCI_COMMON_Q_SELECT, 0x00080001);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_SELECT) == 0);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_ADM_Q_IDX) == 0xffff);
}

TEST_CASE_FIXTURE(Fixture, "pci: a queue that is not there has no size and takes nothing") {
  CHECK(pci.select_queue(1) == 0);
  CHECK_FALSE(pci.enable_queue(8, 0x1000, 0x2000, 0x3000));
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX) == 0);
}

TEST_CASE_FIXTURE(Fixture, "pci: what the driver wrote is read back, and gone after a reset") {
  REQUIRE(driver.start(1));
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_Q_DESCLO) == GuestDriver::place(0));
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE) == 1);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX) == 1);
  pci.set<uint32_t>(VIRTIO_PCI_COMMON_GFSELECT, 1);
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_GF) == driver.offered() >> 32);
  pci.set<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE, 0);  // no way to stop a queue
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE) == 1);
  pci.set<uint8_t>(VIRTIO_PCI_COMMON_STATUS, 0);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_ENABLE) == 0);
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_Q_DESCLO) == 0);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX) == VIRTIO_MSI_NO_VECTOR);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_MSIX) == VIRTIO_MSI_NO_VECTOR);
  pci.set<uint32_t>(VIRTIO_PCI_COMMON_GFSELECT, 0);
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_GF) == 0);
}

TEST_CASE_FIXTURE(Fixture, "pci: a vector past the table is refused") {
  pci.set<uint16_t>(VIRTIO_PCI_COMMON_MSIX, 1);
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_MSIX) == 1);
  pci.set<uint16_t>(VIRTIO_PCI_COMMON_MSIX, 2);  // one queue and the configuration: two vectors
  CHECK(pci.get<uint16_t>(VIRTIO_PCI_COMMON_MSIX) == VIRTIO_MSI_NO_VECTOR);
}

TEST_CASE_FIXTURE(Fixture, "pci: a used buffer is the message of its queue's vector") {
  REQUIRE(driver.start(1));
  CHECK(serves());
  CHECK(pci.messages().sent == std::vector<std::pair<uint64_t, uint32_t>>{{0xfee00000, 1}});
  pci.select_queue(0);
  pci.set<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX, VIRTIO_MSI_NO_VECTOR);
  CHECK(serves());
  CHECK(pci.messages().sent.size() == 1);
}

TEST_CASE("pci: who tells of used buffers is wired to the vector of the queue") {
  base::EventLoop loop;
  Served served(loop);
  GuestDriver driver(served, Transport::kPci, Rings::kSplit);
  auto& pci = static_cast<PciRegisters&>(driver.registers());
  const auto& passed = pci.messages().passed;
  const int source = served.used_source(0)->fd();
  CHECK(passed.empty());
  REQUIRE(driver.start(1));
  REQUIRE(passed.contains(source));
  CHECK(passed.at(source) == std::pair<uint64_t, uint32_t>{0xfee00000, 1});
  SUBCASE("until the driver takes the vector away") {
    pci.select_queue(0);
    pci.set<uint16_t>(VIRTIO_PCI_COMMON_Q_MSIX, VIRTIO_MSI_NO_VECTOR);
  }
  SUBCASE("until it resets the device") { pci.set<uint8_t>(VIRTIO_PCI_COMMON_STATUS, 0); }
  CHECK(passed.empty());
}

TEST_CASE_FIXTURE(Fixture, "pci: a fault is the message of the configuration's vector") {
  REQUIRE(driver.start(1));
  driver.add_raw(0, MockDriver::kBuffers, 0, 0);
  pci.notify(0);
  CHECK(driver.needs_reset());
  CHECK(pci.messages().sent == std::vector<std::pair<uint64_t, uint32_t>>{{0xfee00000, 0}});
}

TEST_CASE_FIXTURE(Fixture, "pci: reading the interrupt status acknowledges it") {
  REQUIRE(driver.start(1));
  CHECK(pci.read_bar<uint8_t>(0, PciTransport::kIsr) == 0);
  CHECK(serves());
  CHECK(pci.read_bar<uint8_t>(0, PciTransport::kIsr) == 1);
  CHECK(pci.read_bar<uint8_t>(0, PciTransport::kIsr) == 0);
}

TEST_CASE_FIXTURE(Fixture, "pci: doorbells read as zero, and odd places ring none") {
  REQUIRE(driver.start(1));
  CHECK(pci.read_bar<uint16_t>(0, PciTransport::kNotify) == 0);
  driver.add(0, {writable(MockDriver::kBuffers, 16)});
  pci.write_bar<uint16_t>(0, PciTransport::kNotify + 2, 0);
  pci.write_bar<uint16_t>(0, PciTransport::kNotify + 4, 0);
  CHECK_FALSE(driver.take_used(0));
  pci.write_bar<uint16_t>(0, PciTransport::kNotify, 0);
  CHECK(driver.take_used(0));
}

TEST_CASE_FIXTURE(Fixture, "pci: the device goes on where the guest has moved its bar") {
  REQUIRE(driver.start(1));
  CHECK(serves());
  const uint64_t before = pci.bar_offset(0);
  pci.set_config<uint32_t>(PCI_BASE_ADDRESS_0, PciRegisters::kWindow + 0x80000);
  CHECK(pci.bar_offset(0) == 0x80000);
  CHECK(serves());
  uint32_t there = 0;
  pci.root().read(before, std::as_writable_bytes(std::span(&there, 1)));
  CHECK(there == 0xffffffff);
  // Outside of the window it can't be accessed; moved back it works as before.
  pci.set_config<uint32_t>(PCI_BASE_ADDRESS_0, 0x10000000);
  pci.set_config<uint32_t>(PCI_BASE_ADDRESS_0, PciRegisters::kWindow + 0x40000);
  CHECK(serves());
}

TEST_CASE_FIXTURE(Fixture, "pci: whoever rings the doorbells is told where they are") {
  const auto at = [&](uint64_t offset) {
    return std::optional(PciRegisters::kWindow + offset + PciTransport::kNotify);
  };
  CHECK(pci.first_doorbell() == at(pci.bar_offset(0)));
  pci.set_config<uint32_t>(PCI_BASE_ADDRESS_0, PciRegisters::kWindow + 0x80000);
  CHECK(pci.first_doorbell() == at(0x80000));
  pci.set_config<uint16_t>(PCI_COMMAND, 0);
  CHECK(pci.first_doorbell() == std::nullopt);
  pci.set_config<uint16_t>(PCI_COMMAND, PCI_COMMAND_MEMORY);
  CHECK(pci.first_doorbell() == at(0x80000));
}

TEST_CASE_FIXTURE(Fixture, "pci: the window in configuration space reaches bar 0") {
  const uint64_t data = window_data();
  aim_window(0, VIRTIO_PCI_COMMON_NUMQ, 2);
  CHECK(pci.config<uint16_t>(data) == 1);
  CHECK(pci.config<uint32_t>(data) == 1);
  aim_window(0, VIRTIO_PCI_COMMON_STATUS, 1);
  pci.set_config<uint8_t>(data, VIRTIO_CONFIG_S_ACKNOWLEDGE);
  CHECK(driver.status() == VIRTIO_CONFIG_S_ACKNOWLEDGE);
  CHECK(pci.config<uint8_t>(data) == VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

TEST_CASE_FIXTURE(Fixture, "pci: a window that is aimed at nothing does nothing") {
  const uint64_t data = window_data();
  const struct {
    uint8_t bar;
    uint32_t offset, length;
  } cases[] = {
      {1, 0, 4}, {0, VIRTIO_PCI_COMMON_STATUS, 0}, {0, 0, 3},          {0, 0, 8},
      {0, 1, 2}, {0, PciTransport::kSizeBytes, 4}, {0, 0xfffffffc, 4}, {6, 0, 4},
  };
  for (const auto& aim : cases) {
    aim_window(aim.bar, aim.offset, aim.length);
    pci.set_config<uint32_t>(data, 0xffffffff);
    CHECK(pci.config<uint32_t>(data) == 0);
  }
  aim_window(0, VIRTIO_PCI_COMMON_DFSELECT, 4);
  pci.set_config<uint8_t>(data, 1);  // too short for the target field
  CHECK(pci.get<uint32_t>(VIRTIO_PCI_COMMON_DFSELECT) == 0);
}

}  // namespace vmm::test
