// SPDX-License-Identifier: GPL-2.0-only
#include "devices/guest_events.hpp"

#include <linux/kvm_para.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace vmm::devices {
namespace {

using memory::GuestAddress;

constexpr uint64_t kPageSize = 4096;

#ifdef KVM_HC_GUEST_EVENTS
static_assert(sizeof(kvm_guest_events) == kPageSize);
static_assert(sizeof(kvm_guest_event) == 64);
static_assert(sizeof(GuestEvents::Record) == 32);

uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Copies the page, if it has events: the guest can change the original at any time.
std::optional<kvm_guest_events> read_page(const memory::GuestMemory& memory, GuestAddress page) {
  if (page.value % kPageSize != 0) return std::nullopt;
  auto events = memory.read_object<kvm_guest_events>(page);
  if (!events || events->magic != KVM_GUEST_EVENTS_MAGIC) return std::nullopt;
  if (events->count > KVM_GUEST_EVENTS_MAX) return std::nullopt;
  return events;
}

std::vector<std::byte> record(const kvm_guest_events& events, const GuestEvents::Record& head) {
  const size_t size = size_t{head.count} * sizeof(kvm_guest_event);
  std::vector<std::byte> bytes(sizeof head + size);
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, events.event, size);
  return bytes;
}
#endif

}  // namespace

std::string_view name_of(EventPath path) {
  switch (path) {
    case EventPath::kHypercall:
      return "hypercall";
    case EventPath::kPort:
      return "port";
    case EventPath::kNone:
      break;
  }
  return "none";
}

#ifdef KVM_HC_GUEST_EVENTS

uint64_t GuestEvents::hypercall_mask() { return 1ULL << KVM_HC_GUEST_EVENTS; }

uint16_t GuestEvents::port() { return KVM_GUEST_EVENTS_PORT; }

uint32_t GuestEvents::feature_bit(EventPath path) {
  switch (path) {
    case EventPath::kHypercall:
      return 1U << KVM_FEATURE_GUEST_EVENTS;
    case EventPath::kPort:
      return 1U << KVM_FEATURE_GUEST_EVENTS_PORT;
    case EventPath::kNone:
      break;
  }
  return 0;
}

bool GuestEvents::is_hypercall(uint64_t number) { return number == KVM_HC_GUEST_EVENTS; }

uint64_t GuestEvents::take(GuestAddress page, EventPath path) {
  const std::lock_guard lock(mutex_);
  if (deliver(page)) {
    state_.seen = path;
    return 0;
  }
  ++state_.refused;
  return static_cast<uint64_t>(-KVM_EINVAL);
}

bool GuestEvents::deliver(GuestAddress page) {
  const auto events = read_page(memory_, page);
  if (!events) return false;
  state_.last_page = page;
  const uint32_t room =
      static_cast<uint32_t>(std::min<uint64_t>(events->count, kMaxEvents - state_.events));
  state_.refused += events->count - room;
  state_.events += room;
  if (room == 0) return true;
  const Record head = {monotonic_ns(), events->sent_ns, events->lost, room, state_.refused};
  output_.write(record(*events, head));
  output_.flush();
  return true;
}

std::vector<std::byte> GuestEvents::unsent() const {
  const std::lock_guard lock(mutex_);
  if (!state_.last_page) return {};
  const auto events = read_page(memory_, *state_.last_page);
  if (!events) return {};
  return record(*events, {monotonic_ns(), 0, events->lost, events->count, state_.refused});
}

#else  // headers of a tree without guest events: nothing is offered

uint64_t GuestEvents::hypercall_mask() { return 0; }
uint16_t GuestEvents::port() { return 0; }
uint32_t GuestEvents::feature_bit(EventPath) { return 0; }
bool GuestEvents::is_hypercall(uint64_t) { return false; }
uint64_t GuestEvents::take(GuestAddress, EventPath) { return static_cast<uint64_t>(-KVM_ENOSYS); }
bool GuestEvents::deliver(GuestAddress) { return false; }
std::vector<std::byte> GuestEvents::unsent() const { return {}; }

#endif

void GuestEvents::read(uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
}

void GuestEvents::write(uint64_t offset, std::span<const std::byte> data) {
  uint32_t number = 0;
  if (offset != 0 || data.size() != sizeof number) return;
  std::memcpy(&number, data.data(), sizeof number);
  take(GuestAddress{uint64_t{number} * kPageSize}, EventPath::kPort);
}

void GuestEvents::checkpoint() {
  const std::lock_guard lock(mutex_);
  kept_ = state_;
}

void GuestEvents::rewind() {
  const std::lock_guard lock(mutex_);
  state_ = kept_;
}

EventPath GuestEvents::seen() const {
  const std::lock_guard lock(mutex_);
  return state_.seen;
}

}  // namespace vmm::devices
