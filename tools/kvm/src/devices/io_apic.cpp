// SPDX-License-Identifier: GPL-2.0-only
//
// Intel 82093AA data sheet, chapter 3; the messages are those of SDM vol. 3, 11.11.
#include "devices/io_apic.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::devices {
namespace {

constexpr uint64_t kSelect = 0x00;
constexpr uint64_t kWindow = 0x10;

constexpr uint8_t kRegisterId = 0;
constexpr uint8_t kRegisterVersion = 1;
constexpr uint8_t kRegisterArbitration = 2;
constexpr uint8_t kRegisterTable = 0x10;

constexpr uint32_t kVersion = 0x11 | (IoApic::kPins - 1) << 16;

// A redirection entry (3.2.4).
constexpr uint64_t kVector = 0xff;
constexpr uint64_t kDeliveryMode = 7ULL << 8;
constexpr uint64_t kLogical = 1ULL << 11;
constexpr uint64_t kRemoteIrr = 1ULL << 14;
constexpr uint64_t kLevel = 1ULL << 15;
constexpr uint64_t kReadOnly = 1ULL << 12 | kRemoteIrr;

constexpr uint64_t kMessageAddress = 0xfee00000;
constexpr uint32_t kMessageAssert = 1U << 14;

InterruptMessage message_of(uint64_t entry) {
  const uint64_t destination = entry >> 56;
  InterruptMessage message;
  message.address = kMessageAddress | destination << 12 | ((entry & kLogical) != 0 ? 1U << 2 : 0);
  message.data = static_cast<uint32_t>(entry & (kVector | kDeliveryMode));
  if ((entry & kLevel) != 0) message.data |= static_cast<uint32_t>(kLevel) | kMessageAssert;
  return message;
}

}  // namespace

void IoApic::read(uint64_t offset, std::span<std::byte> data) {
  std::ranges::fill(data, std::byte{0});
  const std::lock_guard lock(mutex_);
  uint32_t value = 0;
  if (offset == kSelect) value = selected_;
  if (offset == kWindow) value = read_register();
  std::memcpy(data.data(), &value, std::min(data.size(), sizeof value));
}

void IoApic::write(uint64_t offset, std::span<const std::byte> data) {
  uint32_t value = 0;
  std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
  const std::lock_guard lock(mutex_);
  if (offset == kSelect) selected_ = static_cast<uint8_t>(value);
  if (offset == kWindow && data.size() >= sizeof value) write_register(value);
}

uint32_t IoApic::read_register() const {
  if (selected_ == kRegisterVersion) return kVersion;
  if (selected_ == kRegisterId || selected_ == kRegisterArbitration) return uint32_t{id_} << 24;
  if (selected_ < kRegisterTable || selected_ >= kRegisterTable + 2 * kPins) return 0;
  const uint32_t index = selected_ - kRegisterTable;
  return static_cast<uint32_t>(entries_[index / 2] >> (32 * (index % 2)));
}

void IoApic::write_register(uint32_t value) {
  if (selected_ == kRegisterId) {
    id_ = value >> 24 & 0x0f;
  } else if (selected_ >= kRegisterTable && selected_ < kRegisterTable + 2 * kPins) {
    write_entry(selected_ - kRegisterTable, value);
  }
}

void IoApic::write_entry(uint32_t index, uint32_t value) {
  const size_t pin = index / 2;
  uint64_t& entry = entries_[pin];
  if (index % 2 == 1) {
    entry = (entry & 0xffffffff) | uint64_t{value} << 32;
  } else {
    entry = (entry & (~0xffffffffULL | kReadOnly)) | (value & ~kReadOnly);
    // Linux clears a stuck interrupt by making the pin edge-triggered for a moment.
    if ((entry & kLevel) == 0) entry &= ~kRemoteIrr;
  }
  publish_routes();
  if ((entry & kLevel) != 0 && (lines_ >> pin & 1) != 0) assert_pin(pin);
}

void IoApic::publish_routes() {
  Routes routes;
  for (size_t pin = 0; pin < kPins; ++pin) {
    if ((entries_[pin] & kMasked) == 0) routes[pin] = message_of(entries_[pin]);
  }
  output_.set_routes(routes);
}

void IoApic::reset() {
  const std::lock_guard lock(mutex_);
  selected_ = id_ = 0;
  entries_.fill(kMasked);
  publish_routes();
}

void IoApic::set_line(uint32_t pin, bool level) {
  if (pin >= kPins) return;
  const std::lock_guard lock(mutex_);
  const bool rises = level && (lines_ >> pin & 1) == 0;
  lines_ = (lines_ & ~(1U << pin)) | uint32_t{level} << pin;
  if (rises) assert_pin(pin);
}

// A level is sent once until its end of interrupt; an edge is lost while the pin is masked.
void IoApic::assert_pin(size_t pin) {
  uint64_t& entry = entries_[pin];
  if ((entry & (kMasked | kRemoteIrr)) != 0) return;
  if ((entry & kLevel) != 0) entry |= kRemoteIrr;
  output_.deliver(static_cast<uint32_t>(pin));
}

void IoApic::end_of_interrupt(uint8_t vector) {
  const std::lock_guard lock(mutex_);
  for (size_t pin = 0; pin < kPins; ++pin) {
    uint64_t& entry = entries_[pin];
    if ((entry & kLevel) == 0 || (entry & kVector) != vector) continue;
    entry &= ~kRemoteIrr;
    if ((lines_ >> pin & 1) != 0) assert_pin(pin);
  }
}

}  // namespace vmm::devices
