// SPDX-License-Identifier: GPL-2.0-only
#include "machine/network.hpp"

#include <fcntl.h>

#include <cstdio>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "backend/tap.hpp"
#include "backend/user_net.hpp"
#include "base/error.hpp"
#include "virtio/device/vhost_vsock.hpp"
#include "virtio/device/vsock.hpp"

namespace vmm::machine {
namespace {

using base::ConfigError;

void validate_vhost(const std::string& what, const std::string& ring) {
  if (ring == "packed") {
    throw ConfigError(what +
                      " by vhost with ring packed: vhost knows split rings alone; use split");
  }
}

void validate_one(const NetConfig& net) {
  if (net.kind != "user" && net.kind != "tap") {
    throw ConfigError("net is " + net.kind + ": use user or tap");
  }
  if (net.kind == "tap" && net.tap.empty() == (net.tap_fd < 0)) {
    throw ConfigError("a tap needs a name or a file, and not both: name the interface");
  }
  if (net.vhost && net.kind != "tap") {
    throw ConfigError("net " + net.kind + " with vhost: vhost moves frames of a tap; use tap");
  }
  for (const ForwardConfig& forward : net.forwards) {
    if (forward.host_port == 0 || forward.guest_port == 0) {
      throw ConfigError("hostfwd with port 0: use 1 to 65535 for both ports");
    }
  }
}

void validate_vsock(const MachineConfig& config) {
  const VsockConfig& vsock = config.vsock;
  if (vsock.cid < virtio::Vsock::kFirstGuestCid || vsock.cid > virtio::Vsock::kLastGuestCid) {
    throw ConfigError("vsock cid is " + std::to_string(vsock.cid) + ": use " +
                      std::to_string(virtio::Vsock::kFirstGuestCid) + " to " +
                      std::to_string(virtio::Vsock::kLastGuestCid));
  }
  if (!vsock.vhost) return;
  if (!vsock.path.empty()) {
    throw ConfigError("vsock has vhost and the socket " + vsock.path + ": use one of them");
  }
  validate_vhost("vsock", config.ring);
}

std::unique_ptr<backend::NetBackend> open_user(const NetConfig& config) {
  std::vector<backend::PortForward> forwards;
  for (const ForwardConfig& wanted : config.forwards) {
    forwards.push_back({wanted.udp, wanted.host_address, wanted.host_port, wanted.guest_port});
  }
  backend::UserNetTraits traits;
  if (config.mtu != 0) traits.mtu = config.mtu;
  traits.host_loopback = config.host_loopback;
  traits.closed = config.closed;
  return std::make_unique<backend::UserNet>(forwards, traits);
}

std::unique_ptr<backend::Tap> open_tap(base::EventLoop& loop, const NetConfig& config) {
  if (config.tap_fd < 0) {
    return std::make_unique<backend::Tap>(loop, config.tap, config.queue_pairs,
                                          config.host_address);
  }
  std::vector<base::UniqueFd> files;
  files.emplace_back(fcntl(config.tap_fd, F_DUPFD_CLOEXEC, 0));
  if (!files.front()) {
    throw ConfigError("tap file " + std::to_string(config.tap_fd) +
                      " is not open; pass the number of an open one");
  }
  return std::make_unique<backend::Tap>(loop, std::move(files));
}

}  // namespace

void validate_networks(const MachineConfig& config) {
  std::set<virtio::MacAddress> seen;
  for (size_t number = 0; number < config.nets.size(); ++number) {
    const NetConfig& net = config.nets[number];
    validate_one(net);
    if (net.vhost) validate_vhost("net", config.ring);
    if (!seen.insert(mac_address(net.mac, number)).second) {
      throw ConfigError("network interface " + std::to_string(number) +
                        " has the mac of another: give each its own");
    }
  }
  if (config.vsock.present()) validate_vsock(config);
}

virtio::MacAddress mac_address(const std::string& text, size_t number) {
  // Locally administered (bit 1 of the first byte), then "TKVM".
  if (text.empty()) return {0x02, 0x54, 0x4b, 0x56, 0x4d, static_cast<uint8_t>(number)};
  virtio::MacAddress mac{};
  int used = 0;
  const int got = std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0],
                              &mac[1], &mac[2], &mac[3], &mac[4], &mac[5], &used);
  if (got != 6 || static_cast<size_t>(used) != text.size()) {
    throw ConfigError("mac is " + text + ": write it like 02:54:4b:56:4d:00");
  }
  if (mac[0] & 1) {
    throw ConfigError("mac is " + text + ", a group's: use an even first byte, such as 02");
  }
  return mac;
}

std::unique_ptr<virtio::Net> make_net(base::EventLoop& loop, const memory::GuestMemory& memory,
                                      const NetConfig& config, size_t number) {
  const virtio::MacAddress mac = mac_address(config.mac, number);
  if (config.kind == "user") return std::make_unique<virtio::Net>(open_user(config), mac);
  auto tap = open_tap(loop, config);
  std::optional<virtio::Net::ByVhost> by_vhost;
  if (config.vhost) by_vhost.emplace(loop, memory, tap->files());
  return std::make_unique<virtio::Net>(std::move(tap), mac, by_vhost);
}

std::unique_ptr<virtio::Device> make_vsock(base::EventLoop& loop, const memory::GuestMemory& memory,
                                           const VsockConfig& config) {
  if (config.vhost) return std::make_unique<virtio::VhostVsock>(loop, memory, config.cid);
  return std::make_unique<virtio::Vsock>(loop, config.cid, config.path);
}

}  // namespace vmm::machine
