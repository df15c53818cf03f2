// SPDX-License-Identifier: GPL-2.0-only
//
// The choices in a machine's configuration, with their names.
#pragma once

#include <array>
#include <cstdint>

#include "base/choice.hpp"

namespace vmm::machine {

// The format of an image file. It is never guessed, as a guest could write another format's header.
enum class DiskFormat : uint8_t { kRaw, kQcow2 };

constexpr std::array<base::Choice<DiskFormat>, 2> choices_of(DiskFormat) {
  return {{{"raw", DiskFormat::kRaw}, {"qcow2", DiskFormat::kQcow2}}};
}

// The backend of a network interface.
enum class NetKind : uint8_t {
  kUser,  // libslirp
  kTap,   // an interface of the host
};

constexpr std::array<base::Choice<NetKind>, 2> choices_of(NetKind) {
  return {{{"user", NetKind::kUser}, {"tap", NetKind::kTap}}};
}

// The bus on which drivers find the virtio devices.
enum class Transport : uint8_t { kMmio, kPci };

constexpr std::array<base::Choice<Transport>, 2> choices_of(Transport) {
  return {{{"mmio", Transport::kMmio}, {"pci", Transport::kPci}}};
}

// The rings offered to drivers.
enum class Ring : uint8_t {
  kSplit,
  kPacked,  // in addition to split rings
};

constexpr std::array<base::Choice<Ring>, 2> choices_of(Ring) {
  return {{{"split", Ring::kSplit}, {"packed", Ring::kPacked}}};
}

// The way by which the guest may report its progress.
enum class EventPaths : uint8_t {
  kAuto,  // by hypercall where KVM has it, else by port
  kPort,
  kNone,
};

constexpr std::array<base::Choice<EventPaths>, 3> choices_of(EventPaths) {
  return {{{"auto", EventPaths::kAuto}, {"port", EventPaths::kPort}, {"none", EventPaths::kNone}}};
}

}  // namespace vmm::machine
