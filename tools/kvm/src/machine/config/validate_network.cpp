// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/validate_network.hpp"

#include <set>
#include <string>

#include "base/error.hpp"
#include "machine/config/mac_address.hpp"
#include "virtio/device/vsock/vsock.hpp"

namespace vmm::machine {
namespace {

using base::ConfigError;

void validate_vhost(const std::string& what, Ring ring) {
  if (ring == Ring::kPacked) {
    throw ConfigError(what +
                      " by vhost with ring packed: vhost knows split rings alone; use split");
  }
}

void validate(const NetConfig& net, Ring ring) {
  if (net.kind == NetKind::kTap && net.tap.empty() == (net.tap_fd < 0)) {
    throw ConfigError("a tap needs a name or a file, and not both: name the interface");
  }
  if (net.vhost && net.kind != NetKind::kTap) {
    throw ConfigError("net " + std::string(base::name_of(net.kind)) +
                      " with vhost: vhost moves frames of a tap; use tap");
  }
  for (const ForwardConfig& forward : net.forwards) {
    if (forward.host_port == 0 || forward.guest_port == 0) {
      throw ConfigError("hostfwd with port 0: use 1 to 65535 for both ports");
    }
  }
  if (net.vhost) validate_vhost("net", ring);
}

void validate(const VsockConfig& vsock, Ring ring) {
  if (vsock.cid < virtio::Vsock::kFirstGuestCid || vsock.cid > virtio::Vsock::kLastGuestCid) {
    throw ConfigError("vsock cid is " + std::to_string(vsock.cid) + ": use " +
                      std::to_string(virtio::Vsock::kFirstGuestCid) + " to " +
                      std::to_string(virtio::Vsock::kLastGuestCid));
  }
  if (!vsock.path) return validate_vhost("vsock", ring);
  if (vsock.path->empty()) {
    throw ConfigError("vsock has a socket without a name: name it, or leave it out for vhost");
  }
}

}  // namespace

void validate_networks(const MachineConfig& config) {
  std::set<virtio::MacAddress> seen;
  for (size_t number = 0; number < config.nets.size(); ++number) {
    const NetConfig& net = config.nets[number];
    validate(net, config.ring);
    if (!seen.insert(mac_address(net.mac, number)).second) {
      throw ConfigError("network interface " + std::to_string(number) +
                        " has the mac of another: give each its own");
    }
  }
  if (config.vsock) validate(*config.vsock, config.ring);
}

}  // namespace vmm::machine
