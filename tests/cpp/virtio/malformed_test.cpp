// SPDX-License-Identifier: GPL-2.0-only
//
// Every error that a driver can make in a ring, for every device, transport and kind of ring: the
// device requests a reset and gives the reason, does nothing more, and works again after the reset.
#include <doctest/doctest.h>

#include <functional>

#include "guest_driver.hpp"
#include "specimens.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kBuffers = MockDriver::kBuffers;
constexpr uint64_t kEnd = MockDriver::kMemoryBytes;
constexpr uint64_t kTop = ~uint64_t{0};

// A driver's error in a queue, and the expected message.
struct Malady {
  std::string words;
  std::function<void(GuestDriver&, uint16_t queue)> inflict;
  bool split_only = false;
};

Malady raw(std::string words, uint64_t address, uint32_t length, int flags) {
  return {std::move(words), [=](GuestDriver& driver, uint16_t queue) {
            driver.add_raw(queue, address, length, static_cast<uint16_t>(flags));
          }};
}

// A loop for split rings, where descriptors have a `next`; an endless chain for packed rings.
void add_loop(GuestDriver& driver, uint16_t queue) {
  if (!driver.is_packed()) {
    driver.split(queue).set_descriptor(0, {kBuffers, 4, VRING_DESC_F_NEXT, 0});
    driver.split(queue).make_available(0);
    return;
  }
  for (int i = 0; i < driver.packed(queue).size(); ++i) {
    driver.packed(queue).put(kBuffers, 4, VRING_DESC_F_NEXT);
  }
}

void add_nested(GuestDriver& driver, uint16_t queue) {
  if (driver.is_packed()) {
    driver.memory.write_object({kBuffers},
                               vring_packed_desc{kBuffers, 16, 0, VRING_DESC_F_INDIRECT});
  } else {
    driver.memory.write_object({kBuffers}, vring_desc{kBuffers, 16, VRING_DESC_F_INDIRECT, 0});
  }
  driver.add_raw(queue, kBuffers, 16, VRING_DESC_F_INDIRECT);
}

const std::vector<Malady> kMaladies = {
    {"is longer than the queue, or loops", add_loop},
    {"indirect descriptor inside an indirect table", add_nested},
    {"a readable descriptor follows a writable one",
     [](GuestDriver& driver, uint16_t queue) {
       driver.add(queue, {writable(kBuffers, 4), readable(kBuffers, 4)});
     }},
    raw("indirect descriptor with a next", kBuffers, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT),
    raw("length is not a number of descriptors", kBuffers, 0, VRING_DESC_F_INDIRECT),
    raw("length is not a number of descriptors", kBuffers, 17, VRING_DESC_F_INDIRECT),
    raw("length is not a number of descriptors", kBuffers, 0x10000, VRING_DESC_F_INDIRECT),
    raw("indirect table is not in guest memory", kEnd - 16, 32, VRING_DESC_F_INDIRECT),
    raw("indirect table is not in guest memory", kTop - 15, 32, VRING_DESC_F_INDIRECT),
    raw("length zero", kBuffers, 0, 0),
    raw("length zero", kBuffers, 0, VRING_DESC_F_WRITE),
    raw("buffer is not in guest memory", kEnd, 1, 0),
    raw("buffer is not in guest memory", kEnd - 4, 8, VRING_DESC_F_WRITE),
    raw("buffer is not in guest memory", kTop - 3, 8, VRING_DESC_F_WRITE),
    raw("buffer is not in guest memory", memory::GuestMemory::kLowEnd - 4, 8, VRING_DESC_F_WRITE),
    raw("buffer is not in guest memory", kBuffers, 0xffffffff, 0),
    {"past the table's end",
     [](GuestDriver& driver, uint16_t queue) {
       driver.split(queue).make_available(driver.split(queue).size());
     },
     true},
    {"next is past the table's end",
     [](GuestDriver& driver, uint16_t queue) {
       MockRing& ring = driver.split(queue);
       ring.set_descriptor(0, {kBuffers, 4, VRING_DESC_F_NEXT, ring.size()});
       ring.make_available(0);
     },
     true},
    {"further ahead than the queue is long",
     [](GuestDriver& driver, uint16_t queue) {
       MockRing& ring = driver.split(queue);
       const int jumped = ring.available_index() + ring.size() + 1;
       ring.set_available_index(static_cast<uint16_t>(jumped));
     },
     true},
};

bool works(GuestDriver& driver, Specimen& specimen) {
  const uint16_t queue = specimen.queue();
  driver.add(queue, specimen.request(driver.memory));
  driver.registers().notify(queue);
  return driver.take_used(queue) && !driver.needs_reset();
}

void check_malady(const Malady& malady, Specimen& specimen, GuestDriver& driver) {
  CAPTURE(malady.words);
  const uint16_t queue = specimen.queue();
  REQUIRE(driver.start(specimen.queues()));
  CHECK(works(driver, specimen));
  const size_t interrupts = driver.registers().interrupts();
  malady.inflict(driver, queue);
  driver.registers().notify(queue);
  CHECK(driver.needs_reset());
  CHECK(driver.registers().interrupts() > interrupts);
  const auto fault = driver.registers().fault();
  REQUIRE(fault);
  CHECK(fault->find(malady.words) != std::string::npos);
  // It does nothing until it is reset.
  driver.registers().notify(queue);
  CHECK(driver.registers().fault() == fault);
  REQUIRE(driver.start(specimen.queues()));
  CHECK_FALSE(driver.registers().fault());
  CHECK(works(driver, specimen));
}

template <class Check>
void at_each_device(Check check) {
  for (const auto& device : kDevices) {
    CAPTURE(device.name);
    for (const Transport transport : {Transport::kMmio, Transport::kPci}) {
      for (const Rings rings : {Rings::kSplit, Rings::kPacked}) {
        CAPTURE(name_of(transport, rings));
        const auto specimen = device.make();
        GuestDriver driver(specimen->device(), transport, rings);
        check(*specimen, driver);
      }
    }
  }
}

}  // namespace

TEST_CASE("each malformed ring is told, stops its device, and is over after a reset") {
  at_each_device([](Specimen& specimen, GuestDriver& driver) {
    for (const Malady& malady : kMaladies) {
      if (malady.split_only && driver.is_packed()) continue;
      check_malady(malady, specimen, driver);
    }
  });
}

TEST_CASE("each malformed queue set-up is told, and the device never starts") {
  at_each_device([](Specimen& specimen, GuestDriver& driver) {
    const uint64_t place = GuestDriver::place(0);
    const struct {
      uint16_t size;
      uint64_t descriptors, available, used;
    } cases[] = {
        {0, place, place + 0x4000, place + 0x5000},
        {0xffff, place, place + 0x4000, place + 0x5000},
        {8, place + 8, place + 0x4000, place + 0x5000},
        {8, place, place + 0x4001, place + 0x5000},
        {8, place, place + 0x4000, place + 0x5002},
        {8, place, place + 0x4000, place},
        {8, place, place + 0x4000, place + 0x4000},
        {8, kEnd - 16, place + 0x4000, place + 0x5000},
        {8, place, kTop - 3, place + 0x5000},
        {8, place, place + 0x4000, kEnd},
    };
    for (const auto& bad : cases) {
      CAPTURE(bad.size);
      CAPTURE(bad.descriptors);
      CAPTURE(bad.used);
      REQUIRE(driver.negotiate(driver.offered()));
      driver.registers().select_queue(specimen.queue());
      // A misaligned used ring: 2 of 4 bytes; packed parts of 8 entries fit where split ones do.
      CHECK_FALSE(
          driver.registers().enable_queue(bad.size, bad.descriptors, bad.available, bad.used));
      CHECK(driver.needs_reset());
      driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
      CHECK((driver.status() & VIRTIO_CONFIG_S_DRIVER_OK) == 0);
    }
    REQUIRE(driver.start(specimen.queues()));
    CHECK(works(driver, specimen));
  });
}

TEST_CASE("features that were not offered are refused, whatever the device and transport") {
  at_each_device([](Specimen& specimen, GuestDriver& driver) {
    const uint64_t offered = driver.offered();
    CHECK_FALSE(driver.negotiate(offered | 1ULL << 63));
    CHECK_FALSE(driver.negotiate(offered & ~(1ULL << VIRTIO_F_VERSION_1)));
    if (!driver.is_packed()) {
      CHECK_FALSE(driver.negotiate(offered | 1ULL << VIRTIO_F_RING_PACKED));
    }
    driver.registers().set_status(0);
    driver.registers().accept(2, 1);
    driver.add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    driver.add_status(VIRTIO_CONFIG_S_DRIVER);
    driver.registers().accept(1, static_cast<uint32_t>(offered >> 32));
    driver.add_status(VIRTIO_CONFIG_S_FEATURES_OK);
    CHECK((driver.status() & VIRTIO_CONFIG_S_FEATURES_OK) == 0);
    REQUIRE(driver.start(specimen.queues()));
    CHECK(works(driver, specimen));
  });
}

TEST_CASE("a queue can be reset by itself and set up anew while the device runs") {
  at_each_device([](Specimen& specimen, GuestDriver& driver) {
    REQUIRE(driver.start(specimen.queues()));
    if (!(driver.offered() & 1ULL << VIRTIO_F_RING_RESET)) return;
    for (int round = 0; round < 3; ++round) {
      CHECK(works(driver, specimen));
      driver.registers().select_queue(specimen.queue());
      driver.registers().reset_queue();
      driver.add(specimen.queue(), specimen.request(driver.memory));
      driver.registers().notify(specimen.queue());
      CHECK_FALSE(driver.take_used(specimen.queue()));  // it is gone
      CHECK(driver.set_up_queue(specimen.queue()));
    }
    CHECK(works(driver, specimen));
    CHECK_FALSE(driver.needs_reset());
  });
}

TEST_CASE("a reset with requests waiting leaves nothing behind") {
  at_each_device([](Specimen& specimen, GuestDriver& driver) {
    REQUIRE(driver.start(specimen.queues()));
    driver.add(specimen.queue(), specimen.request(driver.memory));
    driver.registers().set_status(0);
    CHECK(driver.status() == 0);
    // Before its reset a device may look at a queue without having been notified.
    (void)driver.take_used(specimen.queue());
    driver.add(specimen.queue(), specimen.request(driver.memory));
    driver.registers().notify(specimen.queue());
    CHECK_FALSE(driver.take_used(specimen.queue()));
    REQUIRE(driver.start(specimen.queues()));
    CHECK(works(driver, specimen));
  });
}

}  // namespace vmm::test
