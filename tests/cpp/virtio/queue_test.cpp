// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "mock_ring.hpp"

namespace vmm::test {
namespace {

using virtio::Chain;
using virtio::Fault;
using virtio::NoChain;
using virtio::Queue;

struct Fixture {
  memory::GuestMemory memory{1 << 20};
  MockRing ring{memory, 0x1000, 8};

  Queue make(bool event_index = false) {
    return std::get<Queue>(Queue::create(memory, ring.state(true, event_index), 8));
  }
};

Chain pop_chain(Queue& queue) {
  auto popped = queue.pop();
  REQUIRE(std::holds_alternative<Chain>(popped));
  return std::move(std::get<Chain>(popped));
}

bool is_empty(Queue& queue) { return std::holds_alternative<NoChain>(queue.pop()); }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "pop of an empty queue is no chain") {
  Queue queue = make();
  CHECK(is_empty(queue));
  CHECK_FALSE(queue.has_available());
}

TEST_CASE_FIXTURE(Fixture, "pop maps readable then writable buffers") {
  Queue queue = make();
  memory.write_object({0x8000}, uint32_t{0x11223344});
  const uint16_t head = ring.add({readable(0x8000, 4), readable(0x9000, 6), writable(0xa000, 16)});
  const Chain chain = pop_chain(queue);
  CHECK(chain.head() == head);
  CHECK(chain.readable().size() == 2);
  CHECK(chain.readable_bytes() == 10);
  CHECK(chain.writable().size() == 1);
  CHECK(chain.writable_bytes() == 16);
  CHECK(*static_cast<const uint32_t*>(chain.readable()[0].iov_base) == 0x11223344);
  CHECK(is_empty(queue));
}

TEST_CASE_FIXTURE(Fixture, "chains that are pushed together appear together, in order") {
  Queue queue = make();
  ring.add({writable(0x8000, 8)});
  ring.add({writable(0x9000, 8)});
  std::vector<virtio::UsedChain> chains;
  chains.push_back({pop_chain(queue), 8});
  chains.push_back({pop_chain(queue), 3});
  CHECK(ring.used_index() == 0);
  queue.push_used(std::move(chains));
  CHECK(ring.used_index() == 2);
  const auto first = ring.take_used();
  const auto second = ring.take_used();
  CHECK((first->id == 0 && first->len == 8));
  CHECK((second->id == 1 && second->len == 3));
  CHECK(queue.in_flight() == 0);
  CHECK(queue.needs_interrupt());
  CHECK_FALSE(queue.needs_interrupt());
}

TEST_CASE_FIXTURE(Fixture, "push_used tells the driver head and length") {
  Queue queue = make();
  ring.add({readable(0x8000, 4)});
  const uint16_t head = ring.add({writable(0x9000, 8)});
  Chain first = pop_chain(queue);
  Chain second = pop_chain(queue);
  CHECK(queue.in_flight() == 2);
  queue.push_used(std::move(second), 5);
  queue.push_used(std::move(first), 0);
  CHECK(queue.in_flight() == 0);
  const auto used = ring.take_used();
  REQUIRE(used);
  CHECK(used->id == head);
  CHECK(used->len == 5);
  CHECK(ring.take_used()->len == 0);
  CHECK_FALSE(ring.take_used());
}

TEST_CASE_FIXTURE(Fixture, "an indirect table gives the same chain") {
  Queue queue = make();
  const std::vector<Buffer> buffers{readable(0x8000, 16), writable(0x9000, 512),
                                    writable(0xa000, 1)};
  ring.make_available(ring.write_indirect(0x7000, buffers));
  const Chain chain = pop_chain(queue);
  CHECK(chain.readable_bytes() == 16);
  CHECK(chain.writable_bytes() == 513);
}

TEST_CASE_FIXTURE(Fixture, "direct descriptors may lead to one indirect table") {
  Queue queue = make();
  ring.set_descriptor(0, {0x8000, 4, VRING_DESC_F_NEXT, 1});
  // WRITE is ignored on a descriptor that refers to a table (2.7.5.3.2).
  ring.set_descriptor(1, {0x7000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0});
  memory.write_object({0x7000}, vring_desc{0x9000, 8, 0, 0});
  ring.make_available(0);
  const Chain chain = pop_chain(queue);
  CHECK(chain.readable_bytes() == 12);
  CHECK(chain.writable_bytes() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a chain as long as the queue is fine") {
  Queue queue = make();
  ring.add(std::vector<Buffer>(8, readable(0x8000, 1)));
  CHECK(pop_chain(queue).readable().size() == 8);
  const std::vector<Buffer> eight(8, writable(0x8000, 1));
  ring.make_available(ring.write_indirect(0x7000, eight));
  CHECK(pop_chain(queue).writable().size() == 8);
}

TEST_CASE_FIXTURE(Fixture, "put_back makes pop return the same chain again") {
  Queue queue = make();
  const uint16_t head = ring.add({readable(0x8000, 4)});
  queue.put_back(pop_chain(queue));
  CHECK(queue.in_flight() == 0);
  CHECK(queue.has_available());
  CHECK(pop_chain(queue).head() == head);
}

TEST_CASE_FIXTURE(Fixture, "indices wrap at 2^16") {
  ring.start_at(0xfffe);
  auto state = ring.state();
  state.next_available = state.next_used = state.signalled_used = 0xfffe;
  Queue queue = std::get<Queue>(Queue::create(memory, state, 8));
  for (int i = 0; i < 20; ++i) {
    const uint16_t head = ring.add({writable(0x8000, 4)});
    queue.push_used(pop_chain(queue), 4);
    const auto used = ring.take_used();
    REQUIRE(used);
    CHECK(used->id == head);
  }
  CHECK(queue.state().next_used == 18);
}

TEST_CASE_FIXTURE(Fixture, "a queue continues from its state") {
  virtio::QueueState state;
  {
    Queue queue = make(true);
    ring.add({writable(0x8000, 4)});
    ring.add({writable(0x9000, 4)});
    queue.push_used(pop_chain(queue), 1);
    CHECK(queue.needs_interrupt());
    state = queue.state();
  }
  Queue restored = std::get<Queue>(Queue::create(memory, state, 8));
  CHECK(restored.state() == state);
  restored.push_used(pop_chain(restored), 2);
  CHECK(ring.used_index() == 2);
  CHECK(is_empty(restored));
}

TEST_CASE_FIXTURE(Fixture, "without event index the driver's flag decides on interrupts") {
  Queue queue = make();
  ring.add({writable(0x8000, 4)});
  CHECK_FALSE(queue.needs_interrupt());
  queue.push_used(pop_chain(queue), 0);
  CHECK(queue.needs_interrupt());
  CHECK_FALSE(queue.needs_interrupt());
  ring.set_no_interrupt(true);
  ring.add({writable(0x8000, 4)});
  queue.push_used(pop_chain(queue), 0);
  CHECK_FALSE(queue.needs_interrupt());
}

TEST_CASE_FIXTURE(Fixture, "with event index an interrupt comes when the event is crossed") {
  Queue queue = make(true);
  ring.set_used_event(1);
  std::string wanted;
  for (int i = 0; i < 4; ++i) {
    ring.add({writable(0x8000, 4)});
    queue.push_used(pop_chain(queue), 0);
    wanted += queue.needs_interrupt() ? '!' : '.';
  }
  CHECK(wanted == ".!..");
}

TEST_CASE_FIXTURE(Fixture, "an empty pop asks for a notification at the next entry") {
  Queue queue = make(true);
  for (int i = 0; i < 3; ++i) ring.add({readable(0x8000, 4)});
  for (int i = 0; i < 3; ++i) queue.push_used(pop_chain(queue), 0);
  CHECK(ring.available_event() == 0);
  CHECK(is_empty(queue));
  CHECK(ring.available_event() == 3);
}

}  // namespace vmm::test
