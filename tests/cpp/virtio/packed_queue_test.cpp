// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mock_packed_ring.hpp"
#include "virtio/queue/queue.hpp"

namespace vmm::test {
namespace {

using virtio::Chain;
using virtio::Fault;
using virtio::NoChain;
using virtio::Queue;

constexpr uint64_t kMemoryBytes = 1 << 20;
constexpr uint64_t kTop = ~uint64_t{0};

struct Fixture {
  memory::GuestMemory memory{kMemoryBytes};
  MockPackedRing ring{memory, 0x1000, 8};

  Queue make(bool event_index = false, bool indirect = true) {
    return std::get<Queue>(Queue::create(memory, ring.state(indirect, event_index), 8));
  }
  Fault pop_fault(bool indirect = true) {
    Queue queue = make(false, indirect);
    const auto popped = queue.pop();
    REQUIRE(std::holds_alternative<Fault>(popped));
    return std::get<Fault>(popped);
  }
  Fault create_fault(const virtio::QueueState& state) {
    const auto created = Queue::create(memory, state, 8);
    REQUIRE(std::holds_alternative<Fault>(created));
    return std::get<Fault>(created);
  }
  void put_indirect(uint64_t table, const vring_packed_desc& entry) {
    memory.write_object({table}, entry);
    ring.put(table, 16, VRING_DESC_F_INDIRECT);
  }
};

Chain pop_chain(Queue& queue) {
  auto popped = queue.pop();
  REQUIRE(std::holds_alternative<Chain>(popped));
  return std::move(std::get<Chain>(popped));
}

bool is_empty(Queue& queue) { return std::holds_alternative<NoChain>(queue.pop()); }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "packed: pop of an empty queue is no chain") {
  Queue queue = make();
  CHECK(is_empty(queue));
  CHECK_FALSE(queue.has_available());
}

TEST_CASE_FIXTURE(Fixture, "packed: pop maps readable then writable buffers") {
  Queue queue = make();
  memory.write_object({0x8000}, uint32_t{0x11223344});
  const uint16_t id = ring.add({readable(0x8000, 4), readable(0x9000, 6), writable(0xa000, 16)});
  CHECK(queue.has_available());
  const Chain chain = pop_chain(queue);
  CHECK(chain.head() == id);
  CHECK(chain.readable().size() == 2);
  CHECK(chain.readable_bytes() == 10);
  CHECK(chain.writable_bytes() == 16);
  CHECK(*static_cast<const uint32_t*>(chain.readable()[0].iov_base) == 0x11223344);
  CHECK(is_empty(queue));
}

TEST_CASE_FIXTURE(Fixture, "packed: chains that are pushed together are told in order") {
  Queue queue = make();
  const uint16_t first = ring.add({writable(0x8000, 8)});
  const uint16_t second = ring.add({writable(0x9000, 8), writable(0xa000, 8)});
  const uint16_t third = ring.add({writable(0xb000, 8)});
  std::vector<virtio::UsedChain> chains;
  for (const uint32_t written : {8U, 16U, 3U}) chains.push_back({pop_chain(queue), written});
  CHECK_FALSE(ring.take_used());
  queue.push_used(std::move(chains));
  const std::tuple<uint16_t, uint16_t, uint32_t> expected[] = {
      {1, first, 8}, {2, second, 16}, {1, third, 3}};
  for (const auto& [slots, id, written] : expected) {
    const auto used = ring.take_used(slots);
    REQUIRE(used);
    CHECK(used->id == id);
    CHECK(used->len == written);
  }
  CHECK(queue.in_flight() == 0);
  CHECK(queue.needs_interrupt());
}

TEST_CASE_FIXTURE(Fixture, "packed: used entries come in the order of completion") {
  Queue queue = make();
  const uint16_t first_id = ring.add({readable(0x8000, 4), readable(0x9000, 4)});
  const uint16_t second_id = ring.add({writable(0xa000, 8)});
  Chain first = pop_chain(queue);
  Chain second = pop_chain(queue);
  CHECK(queue.in_flight() == 2);
  queue.push_used(std::move(second), 5);
  const auto used = ring.take_used(1);
  REQUIRE(used);
  CHECK(used->id == second_id);
  CHECK(used->len == 5);
  CHECK_FALSE(ring.take_used());
  queue.push_used(std::move(first), 0);
  CHECK(ring.take_used(2)->id == first_id);
  CHECK(queue.in_flight() == 0);
  CHECK(is_empty(queue));
}

TEST_CASE_FIXTURE(Fixture, "packed: a used entry says whether its length means anything") {
  Queue queue = make();
  ring.add({writable(0x8000, 8)});
  ring.add({readable(0x8000, 8)});
  queue.push_used(pop_chain(queue), 3);
  queue.push_used(pop_chain(queue), 0);
  CHECK((ring.descriptor(0).flags & VRING_DESC_F_WRITE) != 0);
  CHECK((ring.descriptor(1).flags & VRING_DESC_F_WRITE) == 0);
}

TEST_CASE_FIXTURE(Fixture, "packed: an indirect table is one slot, however long its chain") {
  Queue queue = make();
  const std::vector<Buffer> buffers{readable(0x8000, 16), writable(0x9000, 512),
                                    writable(0xa000, 1)};
  for (int i = 0; i < 20; ++i) {
    const uint16_t id = ring.add_indirect(0x7000, buffers);
    Chain chain = pop_chain(queue);
    CHECK(chain.readable_bytes() == 16);
    CHECK(chain.writable_bytes() == 513);
    queue.push_used(std::move(chain), 513);
    CHECK(ring.take_used()->id == id);
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: chains go round the ring's end, again and again") {
  Queue queue = make();
  for (uint32_t i = 0; i < 40; ++i) {
    const auto slots = static_cast<uint16_t>(1 + i % 5);
    const uint16_t id = ring.add(std::vector<Buffer>(slots, writable(0x8000, 4)));
    Chain chain = pop_chain(queue);
    CHECK(chain.writable().size() == slots);
    CHECK(is_empty(queue));
    queue.push_used(std::move(chain), i % 4);
    const auto used = ring.take_used(slots);
    REQUIRE(used);
    CHECK(used->id == id);
    CHECK(used->len == i % 4);
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: a chain as long as the queue is fine, and fills it") {
  Queue queue = make();
  for (int i = 0; i < 3; ++i) {
    ring.add(std::vector<Buffer>(8, readable(0x8000, 1)));
    Chain chain = pop_chain(queue);
    CHECK(chain.readable().size() == 8);
    queue.push_used(std::move(chain), 0);
    CHECK(ring.take_used(8));
    CHECK(is_empty(queue));
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: a size need not be a power of two") {
  auto state = ring.state();
  state.size = 5;
  CHECK(std::holds_alternative<Queue>(Queue::create(memory, state, 8)));
}

TEST_CASE_FIXTURE(Fixture, "packed: put_back makes pop return the same chain again") {
  Queue queue = make();
  for (int i = 0; i < 9; ++i) {  // also past the ring's end
    const uint16_t id = ring.add({readable(0x8000, 4), readable(0x8000, 4), readable(0x8000, 4)});
    queue.put_back(pop_chain(queue));
    CHECK(queue.in_flight() == 0);
    CHECK(queue.has_available());
    Chain again = pop_chain(queue);
    CHECK(again.head() == id);
    queue.push_used(std::move(again), 0);
    CHECK(ring.take_used(3));
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: a queue continues from its state") {
  virtio::QueueState state;
  {
    Queue queue = make(true);
    for (int i = 0; i < 7; ++i) {
      ring.add({writable(0x8000, 4)});
      queue.push_used(pop_chain(queue), 1);
      REQUIRE(ring.take_used());
    }
    ring.add({writable(0x8000, 4), writable(0x9000, 4)});
    queue.push_used(pop_chain(queue), 1);
    REQUIRE(ring.take_used(2));
    state = queue.state();
  }
  CHECK(state.next_used == 1);
  CHECK_FALSE(state.used_wrap);
  Queue restored = std::get<Queue>(Queue::create(memory, state, 8));
  CHECK(restored.state() == state);
  const uint16_t id = ring.add({writable(0xa000, 4)});
  restored.push_used(pop_chain(restored), 2);
  CHECK(ring.take_used()->id == id);
  CHECK(is_empty(restored));
}

TEST_CASE_FIXTURE(Fixture, "packed: without event index the driver's flag decides on interrupts") {
  Queue queue = make();
  ring.add({writable(0x8000, 4)});
  CHECK_FALSE(queue.needs_interrupt());
  queue.push_used(pop_chain(queue), 0);
  CHECK(queue.needs_interrupt());
  CHECK_FALSE(queue.needs_interrupt());
  ring.set_driver_event(VRING_PACKED_EVENT_FLAG_DISABLE);
  ring.add({writable(0x8000, 4)});
  queue.push_used(pop_chain(queue), 0);
  CHECK_FALSE(queue.needs_interrupt());
  // A driver must not request a position without the feature: any interrupt is allowed then.
  ring.set_driver_event(VRING_PACKED_EVENT_FLAG_DESC, 7);
  ring.add({writable(0x8000, 4)});
  queue.push_used(pop_chain(queue), 0);
  CHECK(queue.needs_interrupt());
}

TEST_CASE_FIXTURE(Fixture, "packed: with event index an interrupt comes when the slot is crossed") {
  Queue queue = make(true);
  ring.set_driver_event(VRING_PACKED_EVENT_FLAG_DESC, 2 | MockPackedRing::kWrap);
  std::string wanted;
  for (int i = 0; i < 20; ++i) {
    if (i == 9) ring.set_driver_event(VRING_PACKED_EVENT_FLAG_DESC, 3);  // of the second lap
    ring.add({writable(0x8000, 4)});
    queue.push_used(pop_chain(queue), 0);
    wanted += queue.needs_interrupt() ? '!' : '.';
  }
  CHECK(wanted == "..!........!........");
}

TEST_CASE_FIXTURE(Fixture, "packed: a slot of the lap before is crossed by going round") {
  Queue queue = make(true);
  ring.set_driver_event(VRING_PACKED_EVENT_FLAG_DESC, 7 | MockPackedRing::kWrap);
  for (int i = 0; i < 7; ++i) {
    ring.add({writable(0x8000, 4)});
    queue.push_used(pop_chain(queue), 0);
  }
  CHECK_FALSE(queue.needs_interrupt());
  ring.add({writable(0x8000, 4), writable(0x8000, 4), writable(0x8000, 4)});
  queue.push_used(pop_chain(queue), 0);
  CHECK(queue.needs_interrupt());
  CHECK_FALSE(queue.needs_interrupt());
}

TEST_CASE_FIXTURE(Fixture, "packed: an empty pop asks for a notification at the next slot") {
  Queue queue = make(true);
  CHECK(is_empty(queue));
  CHECK(ring.device_event_flags() == VRING_PACKED_EVENT_FLAG_DESC);
  CHECK(ring.device_event_position() == MockPackedRing::kWrap);
  for (int i = 0; i < 9; ++i) {
    ring.add({readable(0x8000, 4)});
    queue.push_used(pop_chain(queue), 0);
  }
  CHECK(is_empty(queue));
  CHECK(ring.device_event_position() == 1);  // of the second lap
  Queue plain = std::get<Queue>(Queue::create(memory, ring.state(), 8));
  ring.set_descriptor(0, {});
  CHECK(is_empty(plain));
  CHECK(ring.device_event_flags() == VRING_PACKED_EVENT_FLAG_ENABLE);
}

TEST_CASE_FIXTURE(Fixture, "packed: create rejects bad sizes and positions") {
  for (const int size : {0, 9, 0x8001}) {
    CAPTURE(size);
    auto state = ring.state();
    state.size = static_cast<uint16_t>(size);
    CHECK(create_fault(state) == Fault::kQueueSize);
  }
  auto state = ring.state();
  state.next_available = 8;
  CHECK(create_fault(state) == Fault::kQueueSize);
  state = ring.state();
  state.next_used = 8;
  CHECK(create_fault(state) == Fault::kQueueSize);
}

TEST_CASE_FIXTURE(Fixture, "packed: create rejects misaligned, misplaced and overlapping parts") {
  const struct {
    uint64_t descriptors, available, used;
    Fault fault;
  } cases[] = {
      {0x1008, 0x2000, 0x3000, Fault::kRingMisaligned},
      {0x1000, 0x2002, 0x3000, Fault::kRingMisaligned},
      {0x1000, 0x2000, 0x3001, Fault::kRingMisaligned},
      {kMemoryBytes - 16, 0x2000, 0x3000, Fault::kRingOutsideMemory},
      {kTop - 15, 0x2000, 0x3000, Fault::kRingOutsideMemory},
      {0x1000, kMemoryBytes, 0x3000, Fault::kRingOutsideMemory},
      {0x1000, 0x2000, kTop - 3, Fault::kRingOutsideMemory},
      {0x1000, 0x2000, 0x1010, Fault::kUsedRingOverlaps},
      {0x1000, 0x2000, 0x2000, Fault::kUsedRingOverlaps},
  };
  for (const auto& bad : cases) {
    auto state = ring.state();
    state.descriptors = {bad.descriptors};
    state.available = {bad.available};
    state.used = {bad.used};
    CHECK(create_fault(state) == bad.fault);
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects a chain that never ends") {
  for (int i = 0; i < 8; ++i) ring.put(0x8000, 4, VRING_DESC_F_NEXT);
  CHECK(pop_fault() == Fault::kChainTooLong);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects more in flight than the ring has slots") {
  Queue queue = make();
  std::vector<Chain> held;
  for (int i = 0; i < 8; ++i) {
    ring.add({readable(0x8000, 4)});
    held.push_back(pop_chain(queue));
  }
  ring.add({readable(0x8000, 4)});
  CHECK(std::get<Fault>(queue.pop()) == Fault::kTooManyInFlight);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects a readable buffer after a writable one") {
  ring.put(0x8000, 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
  ring.put(0x8000, 4, 0);
  CHECK(pop_fault() == Fault::kWritableBeforeReadable);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects a zero length") {
  ring.put(0x8000, 0, 0);
  CHECK(pop_fault() == Fault::kZeroLength);
}

TEST_CASE("packed: pop rejects buffers outside memory, also when only the end is") {
  for (const uint64_t address :
       {kMemoryBytes - 2, kMemoryBytes, kTop, kTop - 3, memory::GuestMemory::kLowEnd}) {
    CAPTURE(address);
    Fixture fixture;
    fixture.ring.put(address, 4, VRING_DESC_F_WRITE);
    CHECK(fixture.pop_fault() == Fault::kBufferOutsideMemory);
  }
}

TEST_CASE("packed: pop rejects a chain of 2^32 bytes") {
  memory::GuestMemory memory(memory::GuestMemory::kLowEnd);
  MockPackedRing ring(memory, 0x1000, 8);
  ring.add({readable(0x100000, 0xa0000000), writable(0x100000, 0xa0000000)});
  Queue queue = std::get<Queue>(Queue::create(memory, ring.state(), 8));
  CHECK(std::get<Fault>(queue.pop()) == Fault::kChainTooLarge);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects an indirect descriptor that was not negotiated") {
  put_indirect(0x7000, {0x8000, 4, 0, 0});
  CHECK(pop_fault(false) == Fault::kIndirectNotNegotiated);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects an indirect table before or behind anything") {
  ring.put(0x7000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
  CHECK(pop_fault() == Fault::kIndirectWithNext);
  Fixture second;
  second.ring.put(0x8000, 4, VRING_DESC_F_NEXT);
  second.ring.put(0x7000, 16, VRING_DESC_F_INDIRECT);
  CHECK(second.pop_fault() == Fault::kIndirectWithNext);
}

TEST_CASE_FIXTURE(Fixture, "packed: pop rejects nested indirect tables") {
  put_indirect(0x7000, {0x7000, 16, 0, VRING_DESC_F_INDIRECT});
  CHECK(pop_fault() == Fault::kIndirectNested);
}

TEST_CASE("packed: pop rejects indirect lengths that are not up to a queue of descriptors") {
  for (const uint32_t length : {0U, 1U, 15U, 17U, 9U * 16U, 0xfffffff0U}) {
    CAPTURE(length);
    Fixture fixture;
    fixture.ring.put(0x7000, length, VRING_DESC_F_INDIRECT);
    CHECK(fixture.pop_fault() == Fault::kIndirectLength);
  }
}

TEST_CASE("packed: pop rejects an indirect table outside memory") {
  for (const uint64_t address : {kMemoryBytes - 16, kTop - 15}) {
    CAPTURE(address);
    Fixture fixture;
    fixture.ring.put(address, 32, VRING_DESC_F_INDIRECT);
    CHECK(fixture.pop_fault() == Fault::kIndirectOutsideMemory);
  }
}

TEST_CASE_FIXTURE(Fixture, "packed: an indirect table's other flags mean nothing") {
  put_indirect(0x7000, {0x8000, 4, 0,
                        VRING_DESC_F_NEXT | MockPackedRing::kAvailable | MockPackedRing::kUsed});
  Queue queue = make();
  CHECK(pop_chain(queue).readable_bytes() == 4);
}

}  // namespace vmm::test
