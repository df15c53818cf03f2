// SPDX-License-Identifier: GPL-2.0-only
//
// A hostile driver: random rings, random descriptors, random register writes, from fixed seeds, so
// that a failure repeats. Checks what must hold for any guest: no crash, no access outside guest
// memory (detected by sanitizers), every chain inside memory and bounded.
#include <doctest/doctest.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>

#include "base/event_loop.hpp"
#include "guest_driver.hpp"
#include "memory_backend.hpp"
#include "mock_net.hpp"
#include "temporary_folder.hpp"
#include "virtio/device/balloon.hpp"
#include "virtio/device/block/block.hpp"
#include "virtio/device/console/console.hpp"
#include "virtio/device/input.hpp"
#include "virtio/device/net/net.hpp"
#include "virtio/device/ninep.hpp"
#include "virtio/device/rng.hpp"

#ifdef __SANITIZE_THREAD__
// The driver writes its rings and buffers while a device on another thread reads them. A guest may
// do that, so it is intended and no bug of the VMM. A thread of the disk reads the ranges in
// requests.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:hostile_ring_test\nrace:segments_of\n";
}
#endif

namespace vmm::test {
namespace {

using virtio::Chain;
using virtio::Fault;
using virtio::Queue;

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  uint64_t below(uint64_t limit) { return engine_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Mostly plausible, because invalid descriptors end at the first check.
vring_desc random_descriptor(Random& random, uint64_t memory_bytes, uint16_t size) {
  vring_desc descriptor;
  descriptor.addr = random.one_in(12)
                        ? random.pick<uint64_t>({~0ULL, ~0ULL - 15, memory_bytes - 8, memory_bytes,
                                                 memory::GuestMemory::kLowEnd})
                        : random.below(memory_bytes) & ~15ULL;
  descriptor.len = random.one_in(12) ? random.pick<uint32_t>({0, 0xffffffff, 0x80000000, 1 << 20})
                                     : static_cast<uint32_t>(1 + random.below(64) * 16);
  if (random.one_in(3)) descriptor.len = static_cast<uint32_t>(16 * (1 + random.below(4)));
  int flags = random.one_in(2) ? VRING_DESC_F_NEXT : 0;
  if (random.one_in(2)) flags |= VRING_DESC_F_WRITE;
  if (random.one_in(6)) flags |= VRING_DESC_F_INDIRECT;
  if (random.one_in(40)) flags = static_cast<int>(random.below(0x10000));
  descriptor.flags = static_cast<uint16_t>(flags);
  descriptor.next = static_cast<uint16_t>(random.below(size + (random.one_in(20) ? 2U : 0U)));
  return descriptor;
}

void scramble(MockRing& ring, memory::GuestMemory& memory, Random& random) {
  for (uint64_t i = 0; i < ring.size(); ++i) {
    ring.set_descriptor(i, random_descriptor(random, memory.size(), ring.size()));
  }
  // Tables for indirect descriptors; they accumulate over the calls.
  for (uint64_t i = 0; i < 4; ++i) {
    memory.write_object({random.below(memory.size()) & ~15ULL},
                        random_descriptor(random, memory.size(), ring.size()));
  }
}

// One result for all, as a CHECK per buffer is slow, and there are millions of buffers.
bool is_valid(const Chain& chain, const memory::GuestMemory& memory, uint16_t size) {
  const auto region = memory.regions()[0];
  uint64_t total = 0;
  for (const auto& buffers : {chain.readable(), chain.writable()}) {
    for (const iovec& buffer : buffers) {
      const auto offset =
          static_cast<uint64_t>(static_cast<std::byte*>(buffer.iov_base) - region.host);
      if (buffer.iov_len == 0 || offset > region.length) return false;
      if (buffer.iov_len > region.length - offset) return false;
      total += buffer.iov_len;
    }
  }
  return chain.readable().size() + chain.writable().size() <= size &&
         total == uint64_t{chain.readable_bytes()} + chain.writable_bytes();
}

// One device behind a transport, under random register writes and random rings.
class HostileDriver {
 public:
  HostileDriver(virtio::Device& device, uint16_t queue_count, uint32_t seed,
                Transport transport = Transport::kMmio, Rings rings = Rings::kSplit)
      : driver_(device, transport, rings), queue_count_(queue_count), random_(seed) {}

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      if (started_ && random_.one_in(4)) {
        poke_register();
      } else if (started_) {
        poke_ring();
      } else {
        driver_.registers().restore();
        started_ = driver_.start(queue_count_);
        REQUIRE(started_);
      }
      // A device with a fault does nothing until it is reset.
      if (driver_.needs_reset()) {
        ++faults_;
        started_ = false;
      }
      if ((driver_.status() & VIRTIO_CONFIG_S_DRIVER_OK) == 0) started_ = false;
    }
  }
  int faults() const { return faults_; }
  int served() const { return served_; }

 private:
  void poke_ring() {
    const auto index = static_cast<uint16_t>(random_.below(queue_count_));
    put_header();
    if (driver_.is_packed()) {
      fill(driver_.packed(index));
    } else {
      fill(driver_.split(index));
    }
    const size_t interrupts = driver_.registers().interrupts();
    driver_.registers().notify(index);
    if (driver_.is_packed()) {  // request an interrupt for each used chain
      if (!driver_.needs_reset()) served_ += driver_.registers().interrupts() > interrupts;
      return;
    }
    while (driver_.take_used(index)) ++served_;
  }

  void fill(MockRing& ring) {
    if (random_.one_in(4)) {
      scramble(ring, driver_.memory, random_);
    } else {
      plausible_requests(ring);
    }
    const uint64_t count = 1 + random_.below(3);
    for (uint64_t i = 0; i < count; ++i) {
      ring.make_available(static_cast<uint16_t>(random_.below(ring.size())));
    }
    if (random_.one_in(50)) ring.set_available_index(static_cast<uint16_t>(random_.below(65536)));
  }

  void fill(MockPackedRing& ring) {
    const uint64_t count = 1 + random_.below(4);
    for (uint64_t i = 0; i < count; ++i) {
      if (random_.one_in(4)) {
        put_random(ring);
      } else if (random_.one_in(4)) {
        const auto any = random_descriptor(random_, driver_.memory.size(), ring.size());
        ring.set_descriptor(random_.below(ring.size()), {any.addr, any.len, any.next, any.flags});
      } else {
        ring.add({readable(kHeader, 16),
                  {kHeader + 0x1000, data_bytes(), random_.one_in(2)},
                  writable(kHeader + 0x8000, 1)});
      }
    }
  }

  void put_random(MockPackedRing& ring) {
    const auto any = random_descriptor(random_, driver_.memory.size(), ring.size());
    ring.put(any.addr, any.len, any.flags, any.next);
    driver_.memory.write_object({random_.below(driver_.memory.size()) & ~15ULL}, any);
  }

  // A block request or console message of random type.
  void put_header() {
    driver_.memory.write_object(
        {kHeader},
        virtio_blk_outhdr{static_cast<uint32_t>(random_.below(16)),
                          static_cast<uint32_t>(random_.below(8)),
                          random_.one_in(8) ? ~0ULL - random_.below(9) : random_.below(70)});
  }
  uint32_t data_bytes() { return static_cast<uint32_t>(16 + 16 * random_.below(96)); }

  // Chains of three, one at each third descriptor, with random sizes.
  void plausible_requests(MockRing& ring) {
    for (uint64_t i = 0; i + 3 <= ring.size(); i += 3) {
      const auto at = static_cast<uint16_t>(i);
      const auto next = [&](int n) { return static_cast<uint16_t>(at + n); };
      const auto direction = static_cast<uint16_t>(random_.one_in(2) ? VRING_DESC_F_WRITE : 0);
      ring.set_descriptor(at, {kHeader, 16, VRING_DESC_F_NEXT, next(1)});
      ring.set_descriptor(next(1), {kHeader + 0x1000, data_bytes(),
                                    static_cast<uint16_t>(direction | VRING_DESC_F_NEXT), next(2)});
      ring.set_descriptor(next(2), {kHeader + 0x8000, 1, VRING_DESC_F_WRITE, 0});
    }
  }

  void poke_register() {
    Registers& registers = driver_.registers();
    const uint64_t offset =
        random_.below(registers.poke_range()) & (random_.one_in(10) ? ~0ULL : ~3ULL);
    std::array<std::byte, 8> data{};
    const auto width = random_.pick<size_t>({1, 2, 4, 4, 4, 8});
    if (random_.one_in(2)) {
      registers.peek(offset, std::span(data).first(width));
    } else {
      const auto value = random_.pick<uint64_t>({0, 1, 2, 5, 15, 0xffff, 0xffffffff, ~0ULL});
      std::memcpy(data.data(), &value, sizeof value);
      registers.poke(offset, std::span<const std::byte>(data).first(width));
    }
  }

  static constexpr uint64_t kHeader = MockDriver::kBuffers;

  GuestDriver driver_;
  uint16_t queue_count_;
  Random random_;
  bool started_ = false;
  int faults_ = 0;
  int served_ = 0;
};

struct Wiring {
  Transport transport;
  Rings rings;
};
constexpr Wiring kWirings[] = {{Transport::kMmio, Rings::kSplit},
                               {Transport::kMmio, Rings::kPacked},
                               {Transport::kPci, Rings::kSplit},
                               {Transport::kPci, Rings::kPacked}};

// Must often reach both valid and invalid paths of the device's code.
void torment(virtio::Device& device, uint16_t queue_count, uint32_t seed, int steps = 8'000) {
  for (const Wiring& wiring : kWirings) {
    CAPTURE(seed);
    CAPTURE(name_of(wiring.transport, wiring.rings));
    HostileDriver driver(device, queue_count, seed, wiring.transport, wiring.rings);
    driver.run(steps);
    CHECK(driver.faults() > 50);
    CHECK(driver.served() > 400);
  }
}

}  // namespace

TEST_CASE("hostile rings give valid chains or faults") {
  int chains = 0;
  int faults = 0;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    memory::GuestMemory memory(1 << 16);
    for (int iteration = 0; iteration < 50'000; ++iteration) {
      CAPTURE(iteration);
      MockRing ring(memory, 0x1000, 16);
      scramble(ring, memory, random);
      auto queue = std::get<Queue>(
          Queue::create(memory, ring.state(!random.one_in(8), random.one_in(2)), 16));
      for (int i = 0; i < 4; ++i) {
        ring.make_available(static_cast<uint16_t>(random.below(random.one_in(30) ? 18 : 16)));
      }
      for (int i = 0; i < 5; ++i) {
        auto popped = queue.pop();
        if (std::holds_alternative<Fault>(popped)) {
          ++faults;
          break;
        }
        auto* chain = std::get_if<Chain>(&popped);
        if (chain == nullptr) break;
        ++chains;
        if (!is_valid(*chain, memory, 16)) FAIL("not in memory, or too long");
        queue.push_used(std::move(*chain), 0);
        queue.needs_interrupt();
      }
    }
  }
  // Valid and invalid paths were both reached often.
  CHECK(chains > 10'000);
  CHECK(faults > 10'000);
}

TEST_CASE("hostile packed rings give valid chains or faults") {
  int chains = 0;
  int faults = 0;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    memory::GuestMemory memory(1 << 16);
    for (int iteration = 0; iteration < 50'000; ++iteration) {
      CAPTURE(iteration);
      MockPackedRing ring(memory, 0x1000, 16);
      for (int i = 0; i < 16; ++i) {
        const vring_desc any = random_descriptor(random, memory.size(), 16);
        ring.put(any.addr, any.len, any.flags, any.next);
        memory.write_object({random.below(memory.size()) & ~15ULL}, any);
      }
      auto queue = std::get<Queue>(
          Queue::create(memory, ring.state(!random.one_in(8), random.one_in(2)), 16));
      for (int i = 0; i < 24; ++i) {
        auto popped = queue.pop();
        if (std::holds_alternative<Fault>(popped)) {
          ++faults;
          break;
        }
        auto* chain = std::get_if<Chain>(&popped);
        if (chain == nullptr) break;
        ++chains;
        if (!is_valid(*chain, memory, 16)) FAIL("not in memory, or too long");
        queue.push_used(std::move(*chain), 0);
        queue.needs_interrupt();
      }
    }
  }
  CHECK(chains > 10'000);
  CHECK(faults > 10'000);
}

TEST_CASE("a hostile driver cannot harm the block device") {
  virtio::Block block(std::make_unique<MemoryBackend>(64 * 512));
  // Many requests are answered later, when the driver has often reset the device.
  torment(block, 1, 1, 48'000);
}

TEST_CASE("a hostile driver cannot harm the entropy device") {
  virtio::Rng rng;
  torment(rng, 1, 1);
}

TEST_CASE("a hostile driver cannot harm an input device") {
  virtio::Input input({.name = "any", .keys = {1, 700}, .absolute = {{0, 9}}});
  const virtio::InputEvent moved[] = {{3, 0, 5}};
  for (const Wiring& wiring : kWirings) {
    CAPTURE(name_of(wiring.transport, wiring.rings));
    HostileDriver driver(input, 2, 1, wiring.transport, wiring.rings);
    for (int round = 0; round < 3'000; ++round) {
      driver.run(10);
      for (int i = 0; i < 4; ++i) input.report(moved);
    }
    CHECK(driver.faults() > 50);
    CHECK(driver.served() > 400);
  }
}

TEST_CASE("a hostile driver cannot harm the balloon") {
  memory::GuestMemory memory(MockDriver::kMemoryBytes);
  virtio::Balloon balloon(memory, 16);
  torment(balloon, 4, 1);
}

TEST_CASE("a hostile driver cannot harm a share") {
  const TemporaryFolder folder;
  virtio::Ninep share(ninep::Share(folder.path(), false), "tag");
  // Half of the requests have no room for an answer, which is a fault.
  torment(share, 1, 1, 30'000);
}

TEST_CASE("a hostile driver cannot harm the console") {
  std::array<std::array<int, 2>, 2> ends;
  for (auto& pair : ends) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()) == 0);
  }
  const base::UniqueFd console_host(ends[0][0]);
  const base::UniqueFd agent_host(ends[1][0]);
  base::EventLoop loop;
  virtio::Console console(loop, {base::UniqueFd(ends[0][1]), base::UniqueFd(ends[1][1])});
  // Both host ends echo, which keeps both directions busy.
  for (const auto* host : {&console_host, &agent_host}) {
    loop.add(host->get(), EPOLLIN, [fd = host->get()](uint32_t) {
      std::array<char, 4096> bytes;
      const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
      if (got > 0) send(fd, bytes.data(), static_cast<size_t>(got), MSG_NOSIGNAL);
    });
  }
  torment(console, 6, 1);
  for (const auto* host : {&console_host, &agent_host}) loop.remove(host->get());
}

TEST_CASE("a hostile driver cannot harm the network device") {
  constexpr backend::NetOffloads kAll{.checksum = true, .tso4 = true, .tso6 = true, .ecn = true};
  for (const Wiring& wiring : kWirings) {
    CAPTURE(name_of(wiring.transport, wiring.rings));
    MockNetLog log;
    virtio::Net net(
        std::make_unique<MockNet>(
            log,
            backend::NetTraits{.max_queue_pairs = 2, .send = kAll, .receive = kAll, .mtu = 1500}),
        {2, 0, 0, 0, 0, 1});
    HostileDriver driver(net, 5, 1, wiring.transport, wiring.rings);
    for (int round = 0; round < 1'000; ++round) {
      driver.run(10);
      // Sent frames come back, with larger ones that need more than one buffer.
      for (const auto& frame : log.sent) log.waiting[frame.pair].push_back(frame.bytes);
      log.sent.clear();
      for (auto& queue : log.waiting) {
        if (queue.size() > 8) queue.resize(8);
        queue.emplace_back(static_cast<size_t>(round % 700) * 40, 'x');
      }
      log.ready(0);
      log.ready(1);
    }
    CHECK(driver.faults() > 50);
    CHECK(driver.served() > 400);
  }
}

}  // namespace vmm::test
