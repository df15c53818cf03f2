// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/cpuid.hpp"

#include <doctest/doctest.h>

#include <optional>

namespace vmm::arch {
namespace {

using kvm::CpuidEntry;

// A little of what KVM offers: an Intel-like and an AMD-like host in one.
std::vector<CpuidEntry> offer() {
  return {
      {0, 0, false, 0x1f, 0, 0, 0},
      {1, 0, false, 0, 0x00000800, 0x00000021, 0x00000001},
      {4, 0, true, 0x121, 0, 0, 0},  // level 1
      {4, 1, true, 0x163, 0, 0, 0},  // level 3
      {4, 2, true, 0, 0, 0, 0},
      {0xb, 0, true, 0, 0, 0, 77},
      {0xd, 0, true, 0x207, 0, 0, 0x1},
      {0x40000001, 0, false, 0x01000000, 0, 0, 0},
      {0x80000001, 0, false, 0, 0, 0x00000005, 0},
      {0x80000008, 0, false, 0x3030, 0, 0xf0ff, 0},
      {0x8000000a, 0, false, 1, 8, 0, 0x60},
      {0x8000001e, 0, false, 99, 99, 99, 0},
  };
}

std::optional<CpuidEntry> find(const std::vector<CpuidEntry>& all, uint32_t function,
                               uint32_t index = 0) {
  for (const CpuidEntry& entry : all) {
    if (entry.function == function && entry.index == index) return entry;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("leaf 1 carries the APIC id, the hypervisor bit and the deadline timer") {
  const auto cpuid = guest_cpuid(offer(), {3, 4}, {true});
  const auto leaf = find(cpuid, 1);
  REQUIRE(leaf);
  CHECK((leaf->ebx >> 24) == 3);
  CHECK((leaf->ebx >> 16 & 0xff) == 4);
  CHECK((leaf->ebx & 0xffff) == 0x0800);
  CHECK((leaf->ecx >> 31 & 1) == 1);
  CHECK((leaf->ecx >> 24 & 1) == 1);
  CHECK((leaf->edx >> 28 & 1) == 1);
}

TEST_CASE("paravirtual features are added to KVM's own") {
  CHECK(find(guest_cpuid(offer(), {0, 1}, {}), 0x40000001)->eax == 0x01000000);
  CHECK(find(guest_cpuid(offer(), {0, 1}, {false, 1 << 18}), 0x40000001)->eax == 0x01040000);
}

TEST_CASE("a single processor without deadline timer says so") {
  const auto leaf = find(guest_cpuid(offer(), {0, 1}, {}), 1);
  REQUIRE(leaf);
  CHECK((leaf->ecx >> 24 & 1) == 0);
  CHECK((leaf->edx >> 28 & 1) == 0);
}

TEST_CASE("the topology leaves describe one package of single-threaded cores") {
  for (const uint32_t function : {0xbU, 0x1fU}) {
    const auto cpuid = guest_cpuid(offer(), {5, 6}, {true});
    const auto threads = find(cpuid, function, 0);
    const auto cores = find(cpuid, function, 1);
    const auto end = find(cpuid, function, 2);
    REQUIRE(threads);
    REQUIRE(cores);
    REQUIRE(end);
    CHECK(threads->edx == 5);
    CHECK(threads->ebx == 1);
    CHECK((threads->ecx >> 8) == 1);
    CHECK(cores->eax == 3);  // bits for six cores
    CHECK(cores->ebx == 6);
    CHECK((cores->ecx >> 8) == 2);
    CHECK((end->ecx >> 8) == 0);
  }
}

TEST_CASE("topology leaves past the last leaf are left out") {
  auto supported = offer();
  supported[0].eax = 0xd;
  const auto cpuid = guest_cpuid(supported, {0, 2}, {true});
  CHECK(find(cpuid, 0xb));
  CHECK_FALSE(find(cpuid, 0x1f));
}

TEST_CASE("AMD's leaves agree with the topology") {
  const auto cpuid = guest_cpuid(offer(), {2, 8}, {true});
  CHECK((find(cpuid, 0x80000008)->ecx & 0xff) == 7);
  CHECK((find(cpuid, 0x80000008)->ecx >> 12 & 0xf) == 3);
  CHECK(find(cpuid, 0x8000001e)->eax == 2);
  CHECK(find(cpuid, 0x8000001e)->ebx == 2);
  CHECK(find(cpuid, 0x8000001e)->ecx == 0);
}

TEST_CASE("only the last level of cache is shared by all cores") {
  const auto cpuid = guest_cpuid(offer(), {0, 4}, {true});
  CHECK((find(cpuid, 4, 0)->eax >> 14 & 0xfff) == 0);
  CHECK((find(cpuid, 4, 1)->eax >> 14 & 0xfff) == 3);
  CHECK(find(cpuid, 4, 2)->eax == 0);
}

TEST_CASE("XCR0 comes from leaf 0xd") {
  CHECK(supported_xcr0(offer()) == 0x100000207);
  CHECK(supported_xcr0({}) == 0);
}

TEST_CASE("SVM or VMX means nesting") {
  constexpr uint32_t kVmx = 1U << 5;
  constexpr uint32_t kSvm = 1U << 2;
  const auto with = [](uint32_t vmx, uint32_t svm) {
    auto supported = offer();
    for (CpuidEntry& entry : supported) {
      if (entry.function == 1) entry.ecx = vmx;
      if (entry.function == 0x80000001) entry.ecx = svm;
    }
    return offers_nesting(supported);
  };
  CHECK_FALSE(with(0, 0));
  CHECK(with(kVmx, 0));
  CHECK(with(0, kSvm));
}

}  // namespace vmm::arch
