// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "mock_ring.hpp"

namespace vmm::test {
namespace {

using virtio::Chain;
using virtio::Fault;
using virtio::Queue;

constexpr uint64_t kMemoryBytes = 1 << 20;
constexpr uint64_t kTop = ~uint64_t{0};  // the last address

struct Fixture {
  memory::GuestMemory memory{kMemoryBytes};
  MockRing ring{memory, 0x1000, 8};

  Queue make(bool indirect = true) {
    return std::get<Queue>(Queue::create(memory, ring.state(indirect), 8));
  }

  // The fault that pop() returns for a chain that starts at descriptor 0.
  Fault pop_fault(bool indirect = true) {
    ring.make_available(0);
    Queue queue = make(indirect);
    const auto popped = queue.pop();
    REQUIRE(std::holds_alternative<Fault>(popped));
    return std::get<Fault>(popped);
  }

  Fault create_fault(virtio::QueueState state) {
    const auto created = Queue::create(memory, state, 8);
    REQUIRE(std::holds_alternative<Fault>(created));
    return std::get<Fault>(created);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "create rejects a size that is not a power of two within the maximum") {
  for (const int size : {0, 3, 6, 16, 0x8000}) {
    CAPTURE(size);
    auto state = ring.state();
    state.size = static_cast<uint16_t>(size);
    CHECK(create_fault(state) == Fault::kQueueSize);
  }
}

TEST_CASE_FIXTURE(Fixture, "create rejects misaligned rings") {
  auto state = ring.state();
  state.descriptors.value += 8;
  CHECK(create_fault(state) == Fault::kRingMisaligned);
  state = ring.state();
  state.available.value += 1;
  CHECK(create_fault(state) == Fault::kRingMisaligned);
  state = ring.state();
  state.used.value += 2;
  CHECK(create_fault(state) == Fault::kRingMisaligned);
}

TEST_CASE_FIXTURE(Fixture, "create rejects rings that are not wholly in memory") {
  for (const uint64_t place : {kMemoryBytes - 16, kMemoryBytes, kTop - 15}) {
    CAPTURE(place);
    auto state = ring.state();
    state.descriptors.value = place;
    CHECK(create_fault(state) == Fault::kRingOutsideMemory);
    state = ring.state();
    state.available.value = place;
    CHECK(create_fault(state) == Fault::kRingOutsideMemory);
    state = ring.state();
    state.used.value = place;
    CHECK(create_fault(state) == Fault::kRingOutsideMemory);
  }
}

TEST_CASE_FIXTURE(Fixture,
                  "create rejects a used ring over the descriptors or the available ring") {
  auto state = ring.state();
  state.used = {ring.descriptors() + 16};
  CHECK(create_fault(state) == Fault::kUsedRingOverlaps);
  state.used = {ring.available() & ~3ULL};
  CHECK(create_fault(state) == Fault::kUsedRingOverlaps);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects an available index beyond the ring") {
  ring.set_available_index(9);
  Queue queue = make();
  CHECK(queue.has_available());
  const auto popped = queue.pop();
  REQUIRE(std::holds_alternative<Fault>(popped));
  CHECK(std::get<Fault>(popped) == Fault::kAvailableIndexJumped);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects more chains in flight than descriptors") {
  Queue queue = make();
  std::vector<Chain> held;
  for (int i = 0; i < 8; ++i) {
    ring.add({readable(0x8000, 4)});
    auto popped = queue.pop();
    held.push_back(std::move(std::get<Chain>(popped)));
  }
  ring.add({readable(0x8000, 4)});
  CHECK(std::get<Fault>(queue.pop()) == Fault::kTooManyInFlight);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a head past the table") {
  ring.make_available(8);
  Queue queue = make();
  CHECK(std::get<Fault>(queue.pop()) == Fault::kHeadOutOfRange);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a next past the table") {
  ring.set_descriptor(0, {0x8000, 4, VRING_DESC_F_NEXT, 8});
  CHECK(pop_fault() == Fault::kNextOutOfRange);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a descriptor loop") {
  ring.set_descriptor(0, {0x8000, 4, VRING_DESC_F_NEXT, 1});
  ring.set_descriptor(1, {0x8000, 4, VRING_DESC_F_NEXT, 0});
  CHECK(pop_fault() == Fault::kChainTooLong);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a loop inside an indirect table") {
  ring.set_descriptor(0, {0x7000, 32, VRING_DESC_F_INDIRECT, 0});
  memory.write_object({0x7000}, vring_desc{0x8000, 4, VRING_DESC_F_NEXT, 1});
  memory.write_object({0x7010}, vring_desc{0x8000, 4, VRING_DESC_F_NEXT, 1});
  CHECK(pop_fault() == Fault::kChainTooLong);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a readable buffer after a writable one") {
  ring.set_descriptor(0, {0x8000, 4, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1});
  ring.set_descriptor(1, {0x8000, 4, 0, 0});
  CHECK(pop_fault() == Fault::kWritableBeforeReadable);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a zero length") {
  ring.set_descriptor(0, {0x8000, 0, 0, 0});
  CHECK(pop_fault() == Fault::kZeroLength);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects buffers outside memory, also when only the end is") {
  for (const uint64_t address :
       {kMemoryBytes - 2, kMemoryBytes, kTop, kTop - 3, memory::GuestMemory::kLowEnd}) {
    CAPTURE(address);
    ring.set_descriptor(0, {address, 4, 0, 0});
    CHECK(pop_fault() == Fault::kBufferOutsideMemory);
  }
  ring.set_descriptor(0, {0x8000, 0xffffffff, VRING_DESC_F_WRITE, 0});
  CHECK(pop_fault() == Fault::kBufferOutsideMemory);
}

TEST_CASE("pop rejects a buffer over the hole between the memory regions") {
  memory::GuestMemory memory(memory::GuestMemory::kLowEnd + (1 << 20));
  MockRing ring(memory, 0x1000, 8);
  ring.add({readable(memory::GuestMemory::kLowEnd - 4, 8)});
  Queue queue = std::get<Queue>(Queue::create(memory, ring.state(), 8));
  CHECK(std::get<Fault>(queue.pop()) == Fault::kBufferOutsideMemory);
}

TEST_CASE("pop rejects a chain of 2^32 bytes") {
  memory::GuestMemory memory(memory::GuestMemory::kLowEnd);
  MockRing ring(memory, 0x1000, 8);
  ring.add({readable(0x100000, 0xa0000000), writable(0x100000, 0xa0000000)});
  Queue queue = std::get<Queue>(Queue::create(memory, ring.state(), 8));
  CHECK(std::get<Fault>(queue.pop()) == Fault::kChainTooLarge);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects an indirect descriptor that was not negotiated") {
  ring.set_descriptor(0, {0x7000, 16, VRING_DESC_F_INDIRECT, 0});
  CHECK(pop_fault(false) == Fault::kIndirectNotNegotiated);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects an indirect descriptor with a next") {
  ring.set_descriptor(0, {0x7000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1});
  CHECK(pop_fault() == Fault::kIndirectWithNext);
}

TEST_CASE_FIXTURE(Fixture, "pop rejects nested indirect tables") {
  ring.set_descriptor(0, {0x7000, 16, VRING_DESC_F_INDIRECT, 0});
  memory.write_object({0x7000}, vring_desc{0x7000, 16, VRING_DESC_F_INDIRECT, 0});
  CHECK(pop_fault() == Fault::kIndirectNested);
}

TEST_CASE_FIXTURE(Fixture,
                  "pop rejects indirect lengths that are not up to a queue of descriptors") {
  for (const uint32_t length : {0U, 1U, 15U, 17U, 9U * 16U, 0xfffffff0U}) {
    CAPTURE(length);
    ring.set_descriptor(0, {0x7000, length, VRING_DESC_F_INDIRECT, 0});
    CHECK(pop_fault() == Fault::kIndirectLength);
  }
}

TEST_CASE_FIXTURE(Fixture, "pop rejects an indirect table outside memory") {
  for (const uint64_t address : {kMemoryBytes - 16, kTop - 15}) {
    CAPTURE(address);
    ring.set_descriptor(0, {address, 32, VRING_DESC_F_INDIRECT, 0});
    CHECK(pop_fault() == Fault::kIndirectOutsideMemory);
  }
}

TEST_CASE_FIXTURE(Fixture, "pop rejects a next past the indirect table") {
  ring.set_descriptor(0, {0x7000, 16, VRING_DESC_F_INDIRECT, 0});
  memory.write_object({0x7000}, vring_desc{0x8000, 4, VRING_DESC_F_NEXT, 1});
  CHECK(pop_fault() == Fault::kNextOutOfRange);
}

TEST_CASE("every fault has a description") {
  for (int fault = 0; fault <= static_cast<int>(Fault::kMalformedRequest); ++fault) {
    CHECK(virtio::describe(static_cast<Fault>(fault)) != "unknown fault");
  }
}

}  // namespace vmm::test
