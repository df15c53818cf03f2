// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/validate.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "arch/x86_64/cpu_model.hpp"
#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"
#include "machine/config/validate_network.hpp"
#include "pci/root.hpp"

namespace vmm::machine {
namespace {

using base::ConfigError;

// 16 TiB: more than any supported host has, and far from overflowing an address.
constexpr uint64_t kMaxMemoryMib = 16ULL << 20;

size_t max_virtio_devices(const MachineConfig& config) {
  return has_pci(config) ? pci::Root::kSlots - 1 : arch::layout::kMaxVirtioDevices;
}

void validate_virtio(const MachineConfig& config) {
  const size_t devices = count_virtio_devices(config);
  const size_t most = max_virtio_devices(config);
  if (devices <= most) return;
  const size_t surplus = devices - most;
  const bool disks = config.disks.size() >= surplus;
  const bool shares = !disks && config.shares.size() >= surplus;
  const size_t count = disks    ? config.disks.size()
                       : shares ? config.shares.size()
                                : config.nets.size();
  throw ConfigError(std::to_string(count) +
                    (disks    ? " disks"
                     : shares ? " shares"
                              : " network interfaces") +
                    " are too many: a machine has " + std::to_string(most) +
                    " virtio devices, so use at most " +
                    std::to_string(count > surplus ? count - surplus : 0));
}

void validate(const DiskConfig& disk) {
  if (disk.read_only + disk.volatile_cache + disk.transient > 1) {
    throw ConfigError("disk " + disk.path +
                      ": is read-only, volatile or transient; use one of these");
  }
  if (!disk.backing.empty() && disk.format != DiskFormat::kQcow2) {
    throw ConfigError("disk " + disk.path +
                      ": backing is for qcow2 images; leave it out, or write ,qcow2");
  }
  if (disk.direct && disk.format != DiskFormat::kRaw) {
    throw ConfigError("disk " + disk.path + ": direct is for raw images; leave it out");
  }
}

void validate_ttys(const std::vector<uint32_t>& ttys) {
  for (auto tty = ttys.begin(); tty != ttys.end(); ++tty) {
    if (*tty == 1) throw ConfigError("tty 1 is the agent's line; use 0, 2 or 3");
    if (*tty > 3) throw ConfigError("no tty " + std::to_string(*tty) + "; use 0, 2 or 3");
    if (std::find(ttys.begin(), tty, *tty) != tty) {
      throw ConfigError("tty " + std::to_string(*tty) + " is asked for twice");
    }
  }
}

void validate_display(const std::optional<DisplayConfig>& display) {
  if (!display) return;
  for (const uint32_t pixels : {display->width, display->height}) {
    if (pixels < DisplayConfig::kLeast || pixels > DisplayConfig::kMost) {
      throw ConfigError("a display of " + std::to_string(display->width) + "x" +
                        std::to_string(display->height) + "; use " +
                        std::to_string(DisplayConfig::kLeast) + " to " +
                        std::to_string(DisplayConfig::kMost) + " pixels either way");
    }
  }
}

void validate_assigned(const MachineConfig& config) {
  if (config.vfio_pci.empty()) return;
  if (!has_pci(config)) {
    throw ConfigError("vfio-pci " + config.vfio_pci.front() +
                      ": the machine has no PCI bus; use "
                      "transport pci");
  }
  // Guest memory is pinned for the device: after a balloon freed a page, device and guest would use
  // different ones.
  if (config.balloon_mib) {
    throw ConfigError("vfio-pci " + config.vfio_pci.front() +
                      ": a device of the host needs all of "
                      "the guest's memory to stay; leave the balloon out");
  }
}

void validate(const std::vector<ShareConfig>& shares) {
  for (auto share = shares.begin(); share != shares.end(); ++share) {
    if (share->tag.empty() || share->tag.size() > ShareConfig::kMaxTagBytes) {
      throw ConfigError("share " + share->path + ": its tag \"" + share->tag + "\" has " +
                        std::to_string(share->tag.size()) + " characters; use 1 to " +
                        std::to_string(ShareConfig::kMaxTagBytes));
    }
    const auto same = [&](const ShareConfig& other) { return other.tag == share->tag; };
    if (std::any_of(shares.begin(), share, same)) {
      throw ConfigError("two shares have the tag " + share->tag + "; give each a tag of its own");
    }
  }
}

void validate_payload(const MachineConfig& config) {
  if (!config.disks.empty()) {
    throw ConfigError("disk " + config.disks.front().path +
                      ": a payload's machine has no disks; leave it out");
  }
  if (!config.nets.empty() || config.vsock) {
    throw ConfigError("a payload's machine has no network; leave net and vsock out");
  }
  if (!config.shares.empty() || config.balloon_mib) {
    throw ConfigError("a payload's machine has no virtio devices; leave shares and balloon out");
  }
}

// Devices say for themselves whether they can be rewound.
void validate_rewindable(const MachineConfig& config) {
  if (!config.rewindable) return;
  const char* what = config.hugepages           ? "huge pages"
                     : config.payload           ? "a payload"
                     : config.split_irqchip     ? "split_irqchip"
                     : !config.ttys.empty()     ? "serial lines of the user's"
                     : !config.vfio_pci.empty() ? "an assigned function"
                                                : nullptr;
  if (what == nullptr) return;
  throw ConfigError(std::string("a machine with ") + what + " can't be rewound; leave one out");
}

}  // namespace

void validate_balloon(uint64_t target_mib, uint64_t memory_mib) {
  if (target_mib < memory_mib) return;
  throw ConfigError("the balloon is to take " + std::to_string(target_mib) + " MiB of " +
                    std::to_string(memory_mib) + ": leave the guest some");
}

void validate(const MachineConfig& config) {
  if (config.kernel.empty()) throw ConfigError("no kernel given: pass a vmlinux or a bzImage");
  if (config.vcpus < 1 || config.vcpus > arch::layout::kMaxVcpus) {
    throw ConfigError("vcpus is " + std::to_string(config.vcpus) + ": use 1 to " +
                      std::to_string(arch::layout::kMaxVcpus));
  }
  if (config.memory_mib < MachineConfig::kMinMemoryMib || config.memory_mib > kMaxMemoryMib) {
    throw ConfigError("memory is " + std::to_string(config.memory_mib) + " MiB: use at least " +
                      std::to_string(MachineConfig::kMinMemoryMib));
  }
  if (config.hugepages && config.memory_mib % 2 != 0) {
    throw ConfigError("memory is " + std::to_string(config.memory_mib) +
                      " MiB: with huge pages use an even number");
  }
  static_cast<void>(arch::parse_cpu_model(config.cpu));
  for (const DiskConfig& disk : config.disks) validate(disk);
  validate(config.shares);
  if (config.balloon_mib) validate_balloon(*config.balloon_mib, config.memory_mib);
  validate_networks(config);
  if (config.payload) validate_payload(config);
  validate_ttys(config.ttys);
  validate_display(config.display);
  validate_assigned(config);
  validate_virtio(config);
  validate_rewindable(config);
}

}  // namespace vmm::machine
