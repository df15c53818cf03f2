// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/config.hpp"

#include <cstdio>

#include "arch/x86_64/layout.hpp"

namespace vmm::machine {

size_t count_virtio_devices(const MachineConfig& config) {
  if (config.payload) return 0;
  return 1 + config.disks.size() + config.shares.size() + config.nets.size() +
         (config.vsock ? 1 : 0) + (config.rng ? 1 : 0) + (config.balloon_mib ? 1 : 0) +
         (config.display ? 2 : 0);
}

std::string full_command_line(const MachineConfig& config, size_t virtio_devices) {
  std::string line = config.cmdline;
  if (has_pci(config)) return line;
  for (size_t i = 0; i < virtio_devices; ++i) {
    char entry[64];
    std::snprintf(entry, sizeof entry, "%svirtio_mmio.device=4K@%#llx:%u", line.empty() ? "" : " ",
                  static_cast<unsigned long long>(arch::layout::kVirtioMmio +
                                                  i * arch::layout::kVirtioMmioStride),
                  arch::layout::irq_virtio(i));
    line += entry;
  }
  return line;
}

}  // namespace vmm::machine
