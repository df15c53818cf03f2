// SPDX-License-Identifier: GPL-2.0-only
//
// ACPI specification 6.5, 4.8.3.1 (PM1 event) and 4.8.3.2 (PM1 control).
#include "devices/acpi_pm.hpp"

namespace vmm::devices {
namespace {

constexpr uint64_t kStatus = 0;
constexpr uint64_t kEnable = 2;
constexpr uint64_t kControl = AcpiPm::kControlOffset;

// PM1 status and enable. WAK_STS has no enable bit.
constexpr uint16_t kRtc = 1 << 10;
constexpr uint16_t kWakeStatus = 1 << 15;

// PM1 control.
constexpr uint16_t kSciEnabled = 1 << 0;  // ACPI mode, which can't be left
constexpr uint16_t kBusMasterReload = 1 << 1;
constexpr unsigned kSleepTypeShift = 10;
constexpr uint16_t kSleepTypeMask = 7 << kSleepTypeShift;
constexpr uint16_t kSleepEnable = 1 << 13;  // write-only, like GBL_RLS
constexpr uint16_t kControlStored = kBusMasterReload | kSleepTypeMask;

uint16_t with_byte(uint16_t word, bool high, uint8_t value) {
  return static_cast<uint16_t>(high ? (word & 0x00ff) | value << 8 : (word & 0xff00) | value);
}

uint8_t byte_of(uint16_t word, bool high) { return static_cast<uint8_t>(high ? word >> 8 : word); }

}  // namespace

void AcpiPm::read(uint64_t offset, std::span<std::byte> data) {
  const std::lock_guard lock(mutex_);
  for (std::byte& byte : data) byte = std::byte{read_byte(offset++)};
}

void AcpiPm::write(uint64_t offset, std::span<const std::byte> data) {
  Deed deed = Deed::kNone;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    for (const std::byte byte : data) {
      const Deed wanted = write_byte(offset++, std::to_integer<uint8_t>(byte));
      if (wanted != Deed::kNone) deed = wanted;
    }
    update_sci();
    wake = begin_to_wake();
  }
  if (deed == Deed::kOff) power_.reset("ACPI power off");
  if (deed == Deed::kSuspend) power_.suspend();
  if (wake) power_.wake();  // an event that came before the sleep ends it at once
}

void AcpiPm::checkpoint() {
  const std::lock_guard lock(mutex_);
  kept_ = registers_;
}

void AcpiPm::rewind() {
  const std::lock_guard lock(mutex_);
  registers_ = kept_;
  update_sci();
}

void AcpiPm::rtc_alarm() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    registers_.status |= kRtc;
    update_sci();
    wake = begin_to_wake();
  }
  if (wake) power_.wake();
}

void AcpiPm::woken() {
  const std::lock_guard lock(mutex_);
  asleep_ = waking_ = false;
  registers_.status |= kWakeStatus;
  update_sci();
}

bool AcpiPm::event_pending() const { return (registers_.status & registers_.enable & kRtc) != 0; }

bool AcpiPm::begin_to_wake() {
  if (!asleep_ || waking_ || !event_pending()) return false;
  waking_ = true;
  return true;
}

// Without power there is no interrupt, but the event remains set.
void AcpiPm::update_sci() {
  const bool level = !asleep_ && event_pending();
  if (level == sci_) return;
  sci_ = level;
  set_sci_(level);
}

uint8_t AcpiPm::read_byte(uint64_t offset) const {
  const bool high = offset % 2 != 0;
  switch (offset - offset % 2) {
    case kStatus:
      return byte_of(registers_.status, high);
    case kEnable:
      return byte_of(registers_.enable, high);
    case kControl:
      return byte_of(registers_.control | kSciEnabled, high);
    default:
      return 0xff;
  }
}

AcpiPm::Deed AcpiPm::write_byte(uint64_t offset, uint8_t value) {
  const bool high = offset % 2 != 0;
  switch (offset - offset % 2) {
    case kStatus:  // writing one clears a bit
      registers_.status &= static_cast<uint16_t>(~with_byte(0, high, value));
      return Deed::kNone;
    case kEnable:
      registers_.enable = with_byte(registers_.enable, high, value);
      return Deed::kNone;
    case kControl:
      return write_control(with_byte(registers_.control, high, value));
    default:
      return Deed::kNone;
  }
}

AcpiPm::Deed AcpiPm::write_control(uint16_t word) {
  registers_.control = word & kControlStored;
  if ((word & kSleepEnable) == 0) return Deed::kNone;
  const unsigned type = (word & kSleepTypeMask) >> kSleepTypeShift;
  if (type == types_.off) return Deed::kOff;
  if (type != types_.suspend) return Deed::kNone;  // other sleep types are not supported
  asleep_ = true;
  return Deed::kSuspend;
}

}  // namespace vmm::devices
