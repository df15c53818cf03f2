// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/config.hpp"

#include <doctest/doctest.h>

namespace vmm::machine {
namespace {

MachineConfig valid() {
  MachineConfig config;
  config.kernel = "vmlinux";
  config.cmdline = "quiet";
  return config;
}

}  // namespace

TEST_CASE("the command line announces the virtio devices in order") {
  MachineConfig config = valid();
  config.disks.resize(1);
  CHECK(count_virtio_devices(config) == 3);
  CHECK(full_command_line(config, 3) ==
        "quiet virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6 "
        "virtio_mmio.device=4K@0xd0002000:7");
  config.cmdline.clear();
  CHECK(full_command_line(config, 1) == "virtio_mmio.device=4K@0xd0000000:5");
}

TEST_CASE("PCI devices need no words") {
  MachineConfig config = valid();
  config.transport = Transport::kPci;
  CHECK(full_command_line(config, 3) == "quiet");
}

TEST_CASE("the ninth device shares the first one's interrupt line") {
  const std::string line = full_command_line(valid(), 9);
  CHECK(line.find("0xd0007000:15 virtio_mmio.device=4K@0xd0008000:5") != line.npos);
}

}  // namespace vmm::machine
