// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/net/control.hpp"

#include <optional>

#include "backend/virtio_net_abi.hpp"
#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr uint64_t bit(int feature) { return 1ULL << feature; }

// A command's header and the bytes after it; each is read once.
class Command {
 public:
  explicit Command(std::span<const iovec> buffers) : buffers_(buffers) {
    for (const iovec& buffer : buffers) length_ += buffer.iov_len;
    if (const auto header = object_from<virtio_net_ctrl_hdr>(buffers, 0)) {
      known_ = true;
      group_ = header->_class;
      name_ = header->cmd;
    }
  }

  bool is(int group, int name) const { return known_ && group_ == group && name_ == name; }
  bool in(int group) const { return known_ && group_ == group; }
  uint8_t name() const { return name_; }
  uint64_t payload_bytes() const { return length_ - sizeof(virtio_net_ctrl_hdr); }

  template <class T>
  std::optional<T> at(uint64_t offset) const {
    return object_from<T>(buffers_, sizeof(virtio_net_ctrl_hdr) + offset);
  }

  // The payload, if it is exactly one T.
  template <class T>
  std::optional<T> only() const {
    return payload_bytes() == sizeof(T) ? at<T>(0) : std::nullopt;
  }

 private:
  std::span<const iovec> buffers_;
  uint64_t length_ = 0;
  bool known_ = false;
  uint8_t group_ = 0;
  uint8_t name_ = 0;
};

bool accept_receive_mode(const Command& command) {
  return command.name() <= VIRTIO_NET_CTRL_RX_NOBCAST && command.only<uint8_t>().has_value();
}

// Checks two tables, unicast and multicast addresses, each with its count in front.
bool accept_mac_table(const Command& command) {
  uint64_t offset = 0;
  for (int table = 0; table < 2; ++table) {
    const auto count = command.at<uint32_t>(offset);
    if (!count) return false;
    offset += sizeof *count + uint64_t{*count} * sizeof(MacAddress);
  }
  return offset == command.payload_bytes();
}

bool set_mac(const Command& command, NetSettings& settings) {
  const auto mac = command.only<MacAddress>();
  if (!mac) return false;
  settings.mac = *mac;
  return true;
}

bool set_queue_pairs(const Command& command, const NetLimits& limits, NetSettings& settings) {
  const auto wanted = command.only<uint16_t>();
  if (!wanted || *wanted < 1 || *wanted > limits.max_queue_pairs) return false;
  settings.queue_pairs = *wanted;
  return true;
}

bool set_offloads(const Command& command, const NetLimits& limits, NetSettings& settings) {
  const auto wanted = command.only<uint64_t>();
  if (!wanted || (*wanted & ~(limits.features & net_receive_offloads())) != 0) return false;
  settings.receive_offloads = *wanted;
  return true;
}

bool carry_out(const Command& command, const NetLimits& limits, NetSettings& settings) {
  const auto has = [&](int feature) { return (limits.features & bit(feature)) != 0; };
  if (command.in(VIRTIO_NET_CTRL_RX)) {
    return has(VIRTIO_NET_F_CTRL_RX) && accept_receive_mode(command);
  }
  if (command.is(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET)) {
    return has(VIRTIO_NET_F_CTRL_RX) && accept_mac_table(command);
  }
  if (command.is(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET)) {
    return has(VIRTIO_NET_F_CTRL_MAC_ADDR) && set_mac(command, settings);
  }
  if (command.is(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET)) {
    return has(VIRTIO_NET_F_MQ) && set_queue_pairs(command, limits, settings);
  }
  if (command.is(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET)) {
    return has(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) && set_offloads(command, limits, settings);
  }
  return false;
}

}  // namespace

uint64_t net_receive_offloads() {
  return bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO4) |
         bit(VIRTIO_NET_F_GUEST_TSO6) | bit(VIRTIO_NET_F_GUEST_ECN);
}

uint8_t serve_net_command(std::span<const iovec> command, const NetLimits& limits,
                          NetSettings& settings) {
  return carry_out(Command(command), limits, settings) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
}

}  // namespace vmm::virtio
