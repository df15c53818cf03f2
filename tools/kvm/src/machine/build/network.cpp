// SPDX-License-Identifier: GPL-2.0-only
#include "machine/build/network.hpp"

#include <fcntl.h>

#include <optional>
#include <utility>
#include <vector>

#include "backend/tap.hpp"
#include "backend/user_net.hpp"
#include "base/error.hpp"
#include "machine/config/mac_address.hpp"
#include "virtio/device/vsock/vhost.hpp"
#include "virtio/device/vsock/vsock.hpp"

namespace vmm::machine {
namespace {

using base::ConfigError;

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
    return std::make_unique<backend::Tap>(loop, config.tap, config.queues, config.host_address);
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

std::unique_ptr<virtio::Net> make_net(base::EventLoop& loop, const memory::GuestMemory& memory,
                                      const NetConfig& config, size_t number) {
  const virtio::MacAddress mac = mac_address(config.mac, number);
  if (config.kind == NetKind::kUser) return std::make_unique<virtio::Net>(open_user(config), mac);
  auto tap = open_tap(loop, config);
  std::optional<virtio::Net::ByVhost> by_vhost;
  if (config.vhost) by_vhost.emplace(loop, memory, tap->files());
  return std::make_unique<virtio::Net>(std::move(tap), mac, by_vhost);
}

std::unique_ptr<virtio::Device> make_vsock(base::EventLoop& loop, const memory::GuestMemory& memory,
                                           const VsockConfig& config) {
  if (!config.path) return std::make_unique<virtio::VhostVsock>(loop, memory, config.cid);
  return std::make_unique<virtio::Vsock>(loop, config.cid, *config.path);
}

}  // namespace vmm::machine
