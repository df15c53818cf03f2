// SPDX-License-Identifier: GPL-2.0-only
#include "arch/x86_64/cpu_model.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.hpp"

namespace vmm::arch {
namespace {

using base::ConfigError;

constexpr uint32_t kExtendedState = 0xd;
constexpr uint32_t kSvmFeatures = 0x8000000a;

// Nested virtualization must be requested: it makes a guest spend time on setting up its own KVM,
// and slows down each switch between guest and host.
constexpr auto kOnRequest = std::to_array<std::string_view>({"svm", "vmx"});

// Bits of XCR0 that belong to a feature (SDM vol. 1, 13.1).
struct StateComponent {
  std::string_view feature;
  uint32_t bits;
};
constexpr auto kComponents = std::to_array<StateComponent>({
    {"avx", 1U << 2},
    {"mpx", 3U << 3},
    {"avx512f", 7U << 5},
    {"pku", 1U << 9},
    {"amx_tile", 3U << 17},
});

// A feature's dependency (as in arch/x86/kernel/cpu/cpuid-deps.c): Linux shows, and programs use, a
// feature whose bit is set, even if its dependencies are missing.
struct Need {
  std::string_view feature;
  std::string_view needed;
};
constexpr auto kNeeds = std::to_array<Need>({
    {"xsaveopt", "xsave"},
    {"xsavec", "xsave"},
    {"xsaves", "xsave"},
    {"xgetbv1", "xsave"},
    {"avx", "xsave"},
    {"mpx", "xsave"},
    {"pku", "xsave"},
    {"ospke", "pku"},
    {"amx_tile", "xsave"},
    {"amx_bf16", "amx_tile"},
    {"amx_int8", "amx_tile"},
    {"avx2", "avx"},
    {"fma", "avx"},
    {"f16c", "avx"},
    {"xop", "avx"},
    {"fma4", "avx"},
    {"vaes", "avx"},
    {"vpclmulqdq", "avx"},
    {"avx512f", "avx2"},
    {"avx512dq", "avx512f"},
    {"avx512ifma", "avx512f"},
    {"avx512cd", "avx512f"},
    {"avx512bw", "avx512f"},
    {"avx512vl", "avx512f"},
    {"avx512vbmi", "avx512f"},
    {"avx512_vbmi2", "avx512f"},
    {"avx512_vnni", "avx512f"},
    {"avx512_bitalg", "avx512f"},
    {"avx512_vpopcntdq", "avx512f"},
    {"avx512_fp16", "avx512bw"},
});

uint32_t& register_of(kvm::CpuidEntry& entry, CpuidRegister where) {
  switch (where) {
    case CpuidRegister::kEax:
      return entry.eax;
    case CpuidRegister::kEbx:
      return entry.ebx;
    case CpuidRegister::kEcx:
      return entry.ecx;
    case CpuidRegister::kEdx:
      break;
  }
  return entry.edx;
}

kvm::CpuidEntry* find(std::vector<kvm::CpuidEntry>& cpuid, uint32_t function, uint32_t index) {
  const auto found = std::ranges::find_if(cpuid, [&](const kvm::CpuidEntry& entry) {
    return entry.function == function && entry.index == index;
  });
  return found == cpuid.end() ? nullptr : &*found;
}

bool has(std::vector<kvm::CpuidEntry>& cpuid, const CpuFeature& feature) {
  kvm::CpuidEntry* entry = find(cpuid, feature.function, feature.index);
  return entry != nullptr && (register_of(*entry, feature.where) >> feature.bit & 1) != 0;
}

void remove(std::vector<kvm::CpuidEntry>& cpuid, const CpuFeature& feature) {
  kvm::CpuidEntry* entry = find(cpuid, feature.function, feature.index);
  if (entry != nullptr) register_of(*entry, feature.where) &= ~(1U << feature.bit);
}

bool contains(const std::vector<CpuFeature>& features, std::string_view name) {
  return std::ranges::find(features, name, &CpuFeature::name) != features.end();
}

// Whether the model has the feature by default.
bool included(const CpuModel& model, const CpuFeature& feature) {
  if (model.minimal) return feature.baseline;
  return std::ranges::find(kOnRequest, feature.name) == kOnRequest.end();
}

CpuFeature required(const std::string& model, std::string_view name) {
  const auto feature = cpu_feature_named(name);
  if (!feature) {
    throw ConfigError("cpu " + model + ": no feature is named " + std::string(name) +
                      "; use the names of /proc/cpuinfo");
  }
  return *feature;
}

// One pass is enough, as the table lists each feature after its dependencies.
void remove_dependents(std::vector<kvm::CpuidEntry>& cpuid) {
  for (const Need& need : kNeeds) {
    if (!has(cpuid, *cpu_feature_named(need.needed))) {
      remove(cpuid, *cpu_feature_named(need.feature));
    }
  }
}

// Clears the leaf for SVM, as Linux lists its features even without SVM.
void trim_svm(std::vector<kvm::CpuidEntry>& cpuid) {
  if (has(cpuid, *cpu_feature_named("svm"))) return;
  std::erase_if(cpuid, [](const kvm::CpuidEntry& entry) { return entry.function == kSvmFeatures; });
}

// Removes state that no feature uses any more, and all of it without XSAVE.
void trim_extended_state(std::vector<kvm::CpuidEntry>& cpuid) {
  if (!has(cpuid, *cpu_feature_named("xsave"))) {
    std::erase_if(cpuid,
                  [](const kvm::CpuidEntry& entry) { return entry.function == kExtendedState; });
    return;
  }
  kvm::CpuidEntry* components = find(cpuid, kExtendedState, 0);
  if (components == nullptr) return;
  for (const StateComponent& component : kComponents) {
    if (!has(cpuid, *cpu_feature_named(component.feature))) components->eax &= ~component.bits;
  }
}

// "+NAME?" or "-NAME?": a feature that KVM does not offer, or that is unknown here, is ignored.
void parse_lenient_word(CpuModel& model, std::string_view word) {
  word.remove_suffix(1);
  const auto feature = cpu_feature_named(word.substr(1));
  if (feature) (word.front() == '+' ? model.wanted : model.removed).push_back(*feature);
}

void parse_word(CpuModel& model, const std::string& text, std::string_view word, bool first) {
  const bool is_feature = word.starts_with('-') || word.starts_with('+');
  if (is_feature && word.size() > 2 && word.ends_with('?')) {
    parse_lenient_word(model, word);
  } else if (word.starts_with('-')) {
    model.removed.push_back(required(text, word.substr(1)));
  } else if (word.starts_with('+')) {
    model.added.push_back(required(text, word.substr(1)));
  } else if (first && word == "minimal") {
    model.minimal = true;
  } else if (!first || word != "host") {
    throw ConfigError("cpu " + text + ": " + (word.empty() ? "an empty word" : std::string(word)) +
                      "; use host or minimal, then +FEATURE or -FEATURE, with commas between");
  }
}

}  // namespace

CpuModel parse_cpu_model(const std::string& text) {
  CpuModel model;
  std::string_view rest = text;
  for (bool first = true;; first = false) {
    const size_t comma = rest.find(',');
    parse_word(model, text, rest.substr(0, comma), first);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return model;
}

void apply_cpu_model(std::vector<kvm::CpuidEntry>& cpuid, const CpuModel& model) {
  for (const CpuFeature& feature : model.added) {
    if (!has(cpuid, feature)) {
      throw ConfigError("cpu +" + std::string(feature.name) +
                        ": this host's KVM does not offer it; leave it out");
    }
  }
  for (const CpuFeature& feature : cpu_features()) {
    const bool kept = included(model, feature) || contains(model.added, feature.name) ||
                      contains(model.wanted, feature.name);
    if (!kept || contains(model.removed, feature.name)) remove(cpuid, feature);
  }
  remove_dependents(cpuid);
  trim_svm(cpuid);
  trim_extended_state(cpuid);
}

}  // namespace vmm::arch
