// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/validate.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"

namespace vmm::machine {
namespace {

MachineConfig valid() {
  MachineConfig config;
  config.kernel = "vmlinux";
  config.cmdline = "quiet";
  return config;
}

std::string failure(const MachineConfig& config) {
  try {
    validate(config);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a plain configuration is valid") { CHECK(failure(valid()).empty()); }

TEST_CASE("each refusal names the value and the hint") {
  MachineConfig config = valid();
  config.kernel.clear();
  CHECK(contains(failure(config), "pass a vmlinux"));
  config = valid();
  config.vcpus = 0;
  CHECK(contains(failure(config), "vcpus is 0: use 1 to 255"));
  config.vcpus = 256;
  CHECK(contains(failure(config), "vcpus is 256"));
  config = valid();
  config.memory_mib = 31;
  CHECK(contains(failure(config), "31 MiB: use at least 32"));
  config.memory_mib = ~0ULL;
  CHECK_FALSE(failure(config).empty());
  config = valid();
  config.memory_mib = 33;
  config.hugepages = true;
  CHECK(contains(failure(config), "memory is 33 MiB: with huge pages use an even number"));
  config = valid();
  config.cpu = "minimal,-speed";
  CHECK(contains(failure(config), "no feature is named speed"));
  config = valid();
  config.payload = true;
  config.disks = {{"a.img", false, false}};
  CHECK(contains(failure(config), "disk a.img: a payload's machine has no disks"));
  config = valid();
  config.disks = {{"a.img", true, true}};
  CHECK(contains(failure(config), "disk a.img: is read-only, volatile or transient; use one"));
  config.disks = {{.path = "a.img", .volatile_cache = true, .transient = true}};
  CHECK(contains(failure(config), "disk a.img: is read-only, volatile or transient; use one"));
}

TEST_CASE("what can't be rewound is named") {
  MachineConfig config = valid();
  config.rewindable = true;
  CHECK(failure(config).empty());
  config.hugepages = true;
  CHECK(contains(failure(config), "a machine with huge pages can't be rewound"));
  config.hugepages = false;
  config.split_irqchip = true;
  CHECK(contains(failure(config), "split_irqchip can't be rewound"));
  config.split_irqchip = false;
  config.ttys = {2};
  CHECK(contains(failure(config), "serial lines of the user's can't be rewound"));
  config.ttys.clear();
  config.transport = Transport::kPci;
  CHECK(failure(config).empty());
  config.vfio_pci = {"0000:00:10.0"};
  CHECK(contains(failure(config), "an assigned function can't be rewound"));
  config.vfio_pci.clear();
  config.transport = Transport::kMmio;
  config.payload = true;
  CHECK(contains(failure(config), "a payload can't be rewound"));
}

TEST_CASE("a disk is raw unless it is said to be qcow2, which has other options") {
  MachineConfig config = valid();
  config.disks = {{"a.img"}};
  CHECK(config.disks[0].format == DiskFormat::kRaw);
  config.disks[0].format = DiskFormat::kQcow2;
  CHECK(failure(config).empty());
  config.disks[0].direct = true;
  CHECK(contains(failure(config), "direct is for raw images"));
  config.disks[0] = {.path = "disk", .backing = {"/images"}};
  CHECK(contains(failure(config), "disk disk: backing is for qcow2 images"));
}

TEST_CASE("shares have tags, each another one") {
  MachineConfig config = valid();
  config.shares = {{"/a", "work", false}, {"/b", "", true}};
  CHECK(contains(failure(config), "share /b: its tag \"\" has 0 characters; use 1 to 31"));
  config.shares[1].tag = std::string(32, 'x');
  CHECK(contains(failure(config), "has 32 characters"));
  config.shares[1].tag = "work";
  CHECK(contains(failure(config), "two shares have the tag work"));
  config.shares[1].tag = "more";
  CHECK(failure(config).empty());
  CHECK(count_virtio_devices(config) == 4);
  for (int i = 0; i < 20; ++i) config.shares.push_back({"/c", "c" + std::to_string(i), true});
  CHECK(contains(failure(config), "22 shares are too many"));
}

TEST_CASE("serial lines of the user's are not the agent's, and each is one") {
  MachineConfig config = valid();
  config.ttys = {0, 2, 3};
  CHECK(failure(config).empty());
  config.ttys = {1};
  CHECK(contains(failure(config), "the agent's line"));
  config.ttys = {4};
  CHECK(contains(failure(config), "no tty 4"));
  config.ttys = {2, 2};
  CHECK(contains(failure(config), "tty 2 is asked for twice"));
}

TEST_CASE("a function of the host needs a PCI bus, and memory that stays") {
  MachineConfig config = valid();
  config.vfio_pci = {"0000:00:10.0"};
  CHECK(contains(failure(config), "transport pci"));

  config.transport = Transport::kPci;
  CHECK(failure(config).empty());

  config.balloon_mib = 1;
  CHECK(contains(failure(config), "leave the balloon out"));
}

TEST_CASE("a balloon leaves the guest some memory") {
  MachineConfig config = valid();
  config.balloon_mib = config.memory_mib - 1;
  CHECK(failure(config).empty());
  CHECK(count_virtio_devices(config) == 3);
  config.balloon_mib = config.memory_mib;
  CHECK(contains(failure(config), "256 MiB of 256: leave the guest some"));
}

TEST_CASE("virtio devices have a limit, which counts the console and the rng") {
  MachineConfig config = valid();
  config.disks.resize(14);
  CHECK(failure(config).empty());
  config.disks.resize(16);
  CHECK(contains(failure(config), "use at most 14"));
  config.rng = false;
  CHECK(contains(failure(config), "use at most 15"));
  config.transport = Transport::kPci;
  config.disks.resize(31);
  CHECK(contains(failure(config), "has 31 virtio devices, so use at most 30"));
}

TEST_CASE("a payload has no virtio devices, and only its own words on the command line") {
  MachineConfig config = valid();
  config.payload = true;
  CHECK(failure(config).empty());
  CHECK(count_virtio_devices(config) == 0);
  CHECK(full_command_line(config, 0) == "quiet");
}

}  // namespace vmm::machine
