// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/exit_log.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace vmm::machine {
namespace {

uint64_t first_word(std::span<const std::byte> data) {
  uint64_t value = 0;
  if (!data.empty()) std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
  return value;
}

}  // namespace

void ExitLog::record(uint32_t vcpu, const kvm::Exit& exit) {
  Entry entry;
  entry.vcpu = vcpu;
  entry.kind = exit.index();
  entry.name = kvm::name_of(exit);
  const auto* pio = std::get_if<kvm::Pio>(&exit);
  if (pio != nullptr) {
    entry.is_write = pio->direction == kvm::Direction::kWrite;
    entry.address = pio->port;
    entry.count = pio->count;
    entry.value = first_word(pio->data.first(pio->width));
  } else if (const auto* mmio = std::get_if<kvm::Mmio>(&exit)) {
    entry.is_write = mmio->direction == kvm::Direction::kWrite;
    entry.address = mmio->address;
    entry.count = 1;
    entry.value = first_word(mmio->data);
  }
  const std::lock_guard lock(mutex_);
  ++by_reason_[entry.kind];
  names_[entry.kind] = entry.name;
  if (pio != nullptr) ++by_port_[pio->port];
  ring_[recorded_++ % kRemembered] = entry;
}

std::vector<std::pair<std::string_view, uint64_t>> ExitLog::reasons() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string_view, uint64_t>> all;
  for (size_t i = 0; i < by_reason_.size(); ++i) {
    if (by_reason_[i] != 0) all.emplace_back(names_[i], by_reason_[i]);
  }
  return all;
}

std::vector<std::pair<uint16_t, uint64_t>> ExitLog::ports() const {
  std::vector<std::pair<uint16_t, uint64_t>> all;
  {
    const std::lock_guard lock(mutex_);
    all.assign(by_port_.begin(), by_port_.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::string> ExitLog::last() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  const uint64_t first = recorded_ > kRemembered ? recorded_ - kRemembered : 0;
  for (uint64_t i = first; i < recorded_; ++i) lines.push_back(render(ring_[i % kRemembered]));
  return lines;
}

std::string ExitLog::render(const Entry& entry) {
  char text[128];
  const int name_length = static_cast<int>(entry.name.size());
  if (entry.count == 0) {
    std::snprintf(text, sizeof text, "%.*s (vcpu %u)", name_length, entry.name.data(), entry.vcpu);
  } else {
    char times[24] = "";
    if (entry.count > 1) std::snprintf(times, sizeof times, " and %u more", entry.count - 1);
    std::snprintf(text, sizeof text, "%.*s %s %#llx %#llx%s (vcpu %u)", name_length,
                  entry.name.data(), entry.is_write ? "write" : "read",
                  static_cast<unsigned long long>(entry.address),
                  static_cast<unsigned long long>(entry.value), times, entry.vcpu);
  }
  return text;
}

}  // namespace vmm::machine
