// SPDX-License-Identifier: GPL-2.0-only
//
// ACPI specification 6.5, 4.8.3.1 (PM1 event) and 4.8.3.2 (PM1 control).
#include "devices/acpi_pm.hpp"

namespace vmm::devices {
namespace {

constexpr uint64_t kStatus = 0;
constexpr uint64_t kEnable = 2;
constexpr uint64_t kControl = AcpiPm::kControlOffset;

// PM1 control.
constexpr uint16_t kSciEnabled = 1 << 0;  // ACPI mode, which there is no way out of
constexpr uint16_t kBusMasterReload = 1 << 1;
constexpr unsigned kSleepTypeShift = 10;
constexpr uint16_t kSleepTypeMask = 7 << kSleepTypeShift;
constexpr uint16_t kSleepEnable = 1 << 13;  // write-only, as is GBL_RLS
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
  bool off = false;
  {
    const std::lock_guard lock(mutex_);
    for (const std::byte byte : data) off |= write_byte(offset++, std::to_integer<uint8_t>(byte));
  }
  if (off) power_.reset("ACPI power off");
}

uint8_t AcpiPm::read_byte(uint64_t offset) const {
  const bool high = offset % 2 != 0;
  switch (offset - offset % 2) {
    case kStatus:
      return 0;
    case kEnable:
      return byte_of(enable_, high);
    case kControl:
      return byte_of(control_ | kSciEnabled, high);
    default:
      return 0xff;
  }
}

// True when the byte switches the machine off.
bool AcpiPm::write_byte(uint64_t offset, uint8_t value) {
  const bool high = offset % 2 != 0;
  switch (offset - offset % 2) {
    case kEnable:
      enable_ = with_byte(enable_, high, value);
      return false;
    case kControl: {
      const uint16_t word = with_byte(control_, high, value);
      control_ = word & kControlStored;
      // Other sleep types are not on offer.
      return (word & kSleepEnable) != 0 &&
             (word & kSleepTypeMask) >> kSleepTypeShift == sleep_type_off_;
    }
    default:  // a one clears a status bit, and none was set
      return false;
  }
}

}  // namespace vmm::devices
