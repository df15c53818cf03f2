// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/cpu_model.hpp"

#include <doctest/doctest.h>

#include <set>
#include <tuple>

#include "arch/x86_64/cpuid.hpp"
#include "base/error.hpp"

namespace vmm::arch {
namespace {

using kvm::CpuidEntry;

constexpr uint32_t kAvx = 1U << 28;
constexpr uint32_t kXsave = 1U << 26;
constexpr uint32_t kSse2 = 1U << 26;
constexpr uint32_t kVmx = 1U << 5;
constexpr uint32_t kSvm = 1U << 2;
constexpr uint32_t kNpt = 1U << 0;

// Everything in the leaves of interest.
std::vector<CpuidEntry> offer() {
  return {
      {1, 0, false, 0, 0, ~0U, ~0U},          {7, 0, true, 0, ~0U, ~0U, ~0U},
      {0xd, 0, true, 0x602e7, 0, 0, 0},       {0xd, 1, true, 0xf, 0, 0, 0},
      {0x80000001, 0, false, 0, 0, ~0U, ~0U}, {0x8000000a, 0, false, 1, 8, 0, ~0U},
  };
}

std::vector<CpuidEntry> with(const std::string& model) {
  std::vector<CpuidEntry> cpuid = offer();
  apply_cpu_model(cpuid, parse_cpu_model(model));
  return cpuid;
}

std::string failure(const std::string& model) {
  try {
    with(model);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the host's model takes nothing away but virtualization of the guest's own") {
  const auto cpuid = with("host");
  CHECK(cpuid[0].ecx == ~kVmx);
  CHECK(cpuid[4].ecx == ~kSvm);
  CHECK(cpuid.size() == 5);  // no leaf describes the missing SVM
  CHECK(cpuid[1].ebx == ~0U);
  CHECK(supported_xcr0(cpuid) == 0x602e7);
}

TEST_CASE("a feature that is taken away is gone, and its extended state too") {
  const auto cpuid = with("-avx,-avx512f");
  CHECK((cpuid[0].ecx & kAvx) == 0);
  CHECK((cpuid[0].ecx | kAvx | kVmx | 1U << 12 | 1U << 29) == ~0U);  // fma and f16c depend on it
  CHECK((cpuid[0].ecx & 1U) == 1);                                   // pni stays
  CHECK((cpuid[1].ebx & 1U << 16) == 0);
  CHECK(supported_xcr0(cpuid) == 0x60203);
}

TEST_CASE("what needs a feature goes with it") {
  const auto cpuid = with("-avx");
  CHECK((cpuid[0].ecx & (1U << 12 | 1U << 29)) == 0);            // fma, f16c
  CHECK((cpuid[1].ebx & (1U << 5 | 1U << 16 | 1U << 31)) == 0);  // avx2, avx512f, avx512vl
  CHECK((cpuid[1].ecx & (1U << 9 | 1U << 11)) == 0);             // vaes, avx512_vnni
  CHECK((cpuid[1].edx & 1U << 23) == 0);                         // avx512_fp16
  CHECK((cpuid[1].ebx & 1U << 8) != 0);                          // bmi2 stays
  CHECK((with("-avx2")[0].ecx & kAvx) != 0);
}

TEST_CASE("without XSAVE there is no extended state") {
  const auto cpuid = with("host,-xsave");
  CHECK((cpuid[0].ecx & kXsave) == 0);
  CHECK(supported_xcr0(cpuid) == 0);
  CHECK(cpuid.size() == 3);
}

TEST_CASE("the minimal model has SSE2 and no more, but what is added") {
  const auto minimal = with("minimal");
  CHECK((minimal[0].edx & kSse2) != 0);
  CHECK((minimal[0].ecx & (kAvx | kXsave)) == 0);
  CHECK(minimal[1].ebx == (~0U & minimal[1].ebx));
  CHECK((minimal[1].ebx & 1U << 5) == 0);
  const auto more = with("minimal,+xsave,+avx");
  CHECK((more[0].ecx & (kAvx | kXsave)) == (kAvx | kXsave));
  CHECK(supported_xcr0(more) == 7);
}

TEST_CASE("a guest that is to run guests of its own has SVM and its features, or VMX") {
  const auto svm = with("host,+svm");
  CHECK(svm[4].ecx == ~0U);
  CHECK((svm[0].ecx & kVmx) == 0);
  REQUIRE(svm.size() == 6);
  CHECK(svm[5].function == 0x8000000a);
  CHECK(svm[5].edx == ~0U);
  CHECK(with("host,+svm,-npt")[5].edx == ~kNpt);
  CHECK((with("host,+vmx")[0].ecx & kVmx) != 0);
  CHECK(with("host,+vmx").size() == 5);
  const auto minimal = with("minimal,+svm,+npt");
  CHECK((minimal[2].ecx & kSvm) != 0);
  CHECK((minimal[3].edx & kNpt) != 0);
  CHECK((minimal[3].edx & 1U << 3) == 0);  // nrip_save
}

TEST_CASE("a KVM without nesting says so when a guest is to have it") {
  std::vector<CpuidEntry> cpuid = offer();
  cpuid[4].ecx &= ~kSvm;
  CHECK_THROWS_WITH_AS(apply_cpu_model(cpuid, parse_cpu_model("+svm")),
                       "cpu +svm: this host's KVM does not offer it; leave it out",
                       base::ConfigError);
}

TEST_CASE("what is asked for with a question mark need not be there") {
  CHECK(with("host,+kvm_clock?,-warp?,+warp?")[0].ecx == with("host")[0].ecx);
  CHECK((with("host,-avx?")[0].ecx & kAvx) == 0);
  CHECK((with("minimal,+xsave?,+avx?")[0].ecx & (kAvx | kXsave)) == (kAvx | kXsave));
  CHECK(contains(failure("host,+?"), "no feature is named ?"));
}

TEST_CASE("a word that means nothing is named") {
  CHECK(contains(failure("pentium"), "cpu pentium: pentium; use host or minimal"));
  CHECK(contains(failure("host,-warp"), "no feature is named warp"));
  CHECK(contains(failure("host,minimal"), "minimal; use host or minimal, then"));
  CHECK(contains(failure(""), "an empty word"));
  CHECK(contains(failure("host,"), "an empty word"));
  CHECK(contains(failure("+kvm_clock"), "this host's KVM does not offer it"));
}

TEST_CASE("no two features share a name or a bit") {
  std::set<std::string_view> names;
  std::set<std::tuple<uint32_t, uint32_t, CpuidRegister, uint8_t>> bits;
  for (const CpuFeature& feature : cpu_features()) {
    CHECK(names.insert(feature.name).second);
    CHECK(bits.insert({feature.function, feature.index, feature.where, feature.bit}).second);
    CHECK(feature.bit < 32);
  }
}

}  // namespace vmm::arch
