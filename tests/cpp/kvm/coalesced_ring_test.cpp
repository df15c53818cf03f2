// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/coalesced_ring.hpp"

#include <doctest/doctest.h>
#include <linux/kvm.h>

#include <array>
#include <string>

namespace vmm::kvm {
namespace {

// Acts on the ring's page like virt/kvm/coalesced_mmio.c.
struct Fixture {
  static constexpr uint32_t kEntries =
      (4096 - sizeof(kvm_coalesced_mmio_ring)) / sizeof(kvm_coalesced_mmio);

  alignas(4096) std::array<std::byte, 4096> page{};
  kvm_coalesced_mmio_ring* shared = reinterpret_cast<kvm_coalesced_mmio_ring*>(page.data());
  std::string seen;
  CoalescedRing ring{page.data(), [this](uint16_t port, std::span<const std::byte> data) {
                       CHECK(port == 0xe9);
                       seen += static_cast<char>(data[0]);
                       if (refills > 0 && produce('r')) --refills;
                     }};
  size_t refills = 0;  // entries that a guest adds while it is drained

  bool produce(char c) {
    const uint32_t next = (shared->last + 1) % kEntries;
    if (next == shared->first) return false;
    kvm_coalesced_mmio entry{};
    entry.phys_addr = 0xe9;
    entry.len = 1;
    entry.data[0] = static_cast<uint8_t>(c);
    auto* slots = reinterpret_cast<kvm_coalesced_mmio*>(page.data() + sizeof *shared);
    slots[shared->last] = entry;
    shared->last = next;
    return true;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "writes come out in the order they went in") {
  for (const char c : std::string("hello")) REQUIRE(produce(c));
  ring.drain();
  CHECK(seen == "hello");
  CHECK(ring.drained() == 5);
  ring.drain();
  CHECK(seen == "hello");
}

TEST_CASE_FIXTURE(Fixture, "a full ring is emptied and goes round") {
  std::string expected;
  for (int round = 0; round < 3; ++round) {
    char c = 'a';
    while (produce(c)) {
      expected += c;
      c = c == 'z' ? 'a' : static_cast<char>(c + 1);
    }
    ring.drain();
  }
  CHECK(seen == expected);
  CHECK(expected.size() == 3 * (kEntries - 1));
}

TEST_CASE_FIXTURE(Fixture, "a ring that is filled as fast as it is drained is let go of") {
  REQUIRE(produce('a'));
  refills = 10 * kEntries;
  ring.drain();
  CHECK(seen.size() <= kEntries);
  for (int i = 0; i < 20; ++i) ring.drain();
  CHECK(seen.size() == 10 * kEntries + 1);
}

TEST_CASE_FIXTURE(Fixture, "indices and lengths out of range are survived") {
  auto* slots = reinterpret_cast<kvm_coalesced_mmio*>(page.data() + sizeof *shared);
  slots[0].phys_addr = 0xe9;
  slots[0].len = 1000;
  shared->first = kEntries;  // not an index; taken modulo
  shared->last = 1;
  ring.drain();
  CHECK(seen.size() == 1);
}

}  // namespace vmm::kvm
