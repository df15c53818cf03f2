// SPDX-License-Identifier: GPL-2.0-only
//
// What a machine's configuration chooses between, with the words for it.
#pragma once

#include <array>
#include <cstdint>

#include "base/choice.hpp"

namespace vmm::machine {

// How an image file is read. It is never guessed, as a guest could write another format's header.
enum class DiskFormat : uint8_t { kRaw, kQcow2 };

constexpr std::array<base::Choice<DiskFormat>, 2> choices_of(DiskFormat) {
  return {{{"raw", DiskFormat::kRaw}, {"qcow2", DiskFormat::kQcow2}}};
}

// Who is at the other end of a network interface's cable.
enum class NetKind : uint8_t {
  kUser,  // libslirp
  kTap,   // an interface of the host's
};

constexpr std::array<base::Choice<NetKind>, 2> choices_of(NetKind) {
  return {{{"user", NetKind::kUser}, {"tap", NetKind::kTap}}};
}

// Where drivers find the virtio devices.
enum class Transport : uint8_t { kMmio, kPci };

constexpr std::array<base::Choice<Transport>, 2> choices_of(Transport) {
  return {{{"mmio", Transport::kMmio}, {"pci", Transport::kPci}}};
}

// The rings that drivers are offered.
enum class Ring : uint8_t {
  kSplit,
  kPacked,  // besides the split ones
};

constexpr std::array<base::Choice<Ring>, 2> choices_of(Ring) {
  return {{{"split", Ring::kSplit}, {"packed", Ring::kPacked}}};
}

// How the guest may tell how far it has got.
enum class EventPaths : uint8_t {
  kAuto,  // by hypercall where KVM has it, else by port
  kPort,
  kNone,
};

constexpr std::array<base::Choice<EventPaths>, 3> choices_of(EventPaths) {
  return {{{"auto", EventPaths::kAuto}, {"port", EventPaths::kPort}, {"none", EventPaths::kNone}}};
}

}  // namespace vmm::machine
