// SPDX-License-Identifier: GPL-2.0-only
//
// The fields of a machine's configuration with their names outside of C++: in the record that a
// caller passes (see kvm/spec/machine.py), and in messages. This is the only place in C++ with
// those names. visit() calls a visitor with the name and the member of each field, and with
// kRequired where a record must have it; a field that may be left out keeps its default in
// config.hpp. Used by the bindings, before a machine is created.
#pragma once

#include <string_view>

#include "machine/config/config.hpp"

namespace vmm::machine {

inline constexpr bool kRequired = true;

// The name of each kind of record in messages.
constexpr std::string_view record_name(const MachineConfig&) { return "a machine"; }
constexpr std::string_view record_name(const DiskConfig&) { return "a machine's disk"; }
constexpr std::string_view record_name(const ShareConfig&) { return "a machine's share"; }
constexpr std::string_view record_name(const NetConfig&) { return "a machine's net"; }
constexpr std::string_view record_name(const ForwardConfig&) { return "a net's forward"; }
constexpr std::string_view record_name(const VsockConfig&) { return "a machine's vsock"; }
constexpr std::string_view record_name(const DisplayConfig&) { return "a machine's display"; }

// Whether a record is written as the list of its fields' values, in the order of visit().
template <class Config>
inline constexpr bool kIsList = false;
template <>
inline constexpr bool kIsList<ForwardConfig> = true;
template <>
inline constexpr bool kIsList<DisplayConfig> = true;

template <class Visitor>
void visit(DiskConfig& disk, Visitor&& field) {
  field("path", disk.path, kRequired);
  field("read_only", disk.read_only);
  field("volatile", disk.volatile_cache);  // `volatile` is a C++ keyword
  field("transient", disk.transient);
  field("format", disk.format);
  field("direct", disk.direct);
  field("backing_folder", disk.backing_folder);
  field("format_said", disk.format_said);
  field("backing", disk.backing);
  field("backing_files", disk.backing_files);
}

template <class Visitor>
void visit(ShareConfig& share, Visitor&& field) {
  field("path", share.path, kRequired);
  field("tag", share.tag, kRequired);
  field("read_only", share.read_only);
}

template <class Visitor>
void visit(ForwardConfig& forward, Visitor&& field) {
  field("udp", forward.udp, kRequired);
  field("host_address", forward.host_address, kRequired);
  field("host_port", forward.host_port, kRequired);
  field("guest_port", forward.guest_port, kRequired);
}

template <class Visitor>
void visit(NetConfig& net, Visitor&& field) {
  field("kind", net.kind, kRequired);
  field("mac", net.mac);
  field("forwards", net.forwards);
  field("mtu", net.mtu);
  field("host_loopback", net.host_loopback);
  field("closed", net.closed);
  field("tap", net.tap);
  field("tap_fd", net.tap_fd);
  field("queues", net.queues);
  field("host_address", net.host_address);
  field("vhost", net.vhost);
}

template <class Visitor>
void visit(VsockConfig& vsock, Visitor&& field) {
  field("path", vsock.path, kRequired);
  field("cid", vsock.cid);
}

template <class Visitor>
void visit(DisplayConfig& display, Visitor&& field) {
  field("width", display.width, kRequired);
  field("height", display.height, kRequired);
}

template <class Visitor>
void visit(MachineConfig& machine, Visitor&& field) {
  field("kernel", machine.kernel, kRequired);
  field("initrd", machine.initrd, kRequired);
  field("cmdline", machine.cmdline, kRequired);
  field("vcpus", machine.vcpus);
  field("memory_mib", machine.memory_mib);
  field("disks", machine.disks);
  field("shares", machine.shares);
  field("nets", machine.nets);
  field("vsock", machine.vsock);
  field("rng", machine.rng);
  field("balloon_mib", machine.balloon_mib);
  field("guest_events", machine.guest_events);
  field("transport", machine.transport);
  field("ring", machine.ring);
  field("protocol", machine.protocol);
  field("payload", machine.payload);
  field("hugepages", machine.hugepages);
  field("rewindable", machine.rewindable);
  field("pin", machine.pin);
  field("split_irqchip", machine.split_irqchip);
  field("kvm_device", machine.kvm_device);
  field("cpu", machine.cpu);
  field("vfio_pci", machine.vfio_pci);
  field("ttys", machine.ttys);
  field("display", machine.display);
  field("display_password", machine.display_password);
}

}  // namespace vmm::machine
