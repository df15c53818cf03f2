// SPDX-License-Identifier: GPL-2.0-only
//
// What a machine is made of, as the caller (the Python bindings) states it. Plain values; checked
// by validate() before anything is created. fields.hpp has the name of each member.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvm/device_path.hpp"
#include "loader/loaded_kernel.hpp"
#include "machine/config/choices.hpp"

namespace vmm::machine {

struct DiskConfig {
  std::string path;
  bool read_only = false;
  bool volatile_cache = false;  // lose at the machine's end what the guest has not flushed
  DiskFormat format = DiskFormat::kRaw;
  bool direct = false;  // past the host's page cache; for raw images only
  // Where relative names of backing files count from, if not from the image's own folder.
  std::optional<std::string> backing_folder{};
  bool format_said = false;            // by the user: raw then, even if another image lies there
  std::vector<std::string> backing{};  // files and folders where backing files may lie besides
  std::vector<std::string> backing_files{};  // where they are, if not by the names in the images
};

// A folder of the host that the guest mounts by its tag (9p, trans=virtio).
struct ShareConfig {
  static constexpr size_t kMaxTagBytes = 31;

  std::string path;
  std::string tag;
  bool read_only = false;
};

// A port of the host that leads to one of the guest's.
struct ForwardConfig {
  bool udp = false;
  std::string host_address = "127.0.0.1";
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
};

struct NetConfig {
  NetKind kind = NetKind::kUser;
  std::string mac;                      // empty: one that follows from the device's number
  std::vector<ForwardConfig> forwards;  // user only
  uint16_t mtu = 0;                     // user only; 0: the usual
  bool host_loopback = false;           // user only: 10.0.2.2 leads to the host's 127.0.0.1
  std::vector<std::string> closed{};    // user only: networks that the guest must not reach
  std::string tap;                      // name of the interface
  int tap_fd = -1;           // or a tap that the caller has opened, which stays the caller's
  uint16_t queues = 1;       // pairs of them; for a tap that is named
  std::string host_address;  // for the interface, like 192.168.7.1/24; empty: as it is
  bool vhost = false;        // tap only: the host's kernel moves the frames
};

struct VsockConfig {
  // Of the Unix socket. Without one the host's kernel serves the device (vhost), and the other end
  // are the host's own AF_VSOCK sockets.
  std::optional<std::string> path{};
  uint64_t cid = 3;
};

struct DisplayConfig {
  static constexpr uint32_t kLeast = 64;  // pixels either way
  static constexpr uint32_t kMost = 4096;

  uint32_t width = 0;
  uint32_t height = 0;
};

struct MachineConfig {
  static constexpr uint64_t kMinMemoryMib = 32;

  std::string kernel;
  std::optional<std::string> initrd;
  std::string cmdline;
  uint32_t vcpus = 1;
  uint64_t memory_mib = 256;
  std::vector<DiskConfig> disks;
  std::vector<ShareConfig> shares;
  std::vector<NetConfig> nets;
  std::optional<VsockConfig> vsock;
  bool rng = true;
  std::optional<uint64_t> balloon_mib;  // how much to take at the start; nothing: no balloon
  EventPaths guest_events = EventPaths::kAuto;
  Transport transport = Transport::kMmio;               // of every virtio device
  Ring ring = Ring::kSplit;                             // the same
  loader::Protocol protocol = loader::Protocol::kAuto;  // how the kernel is entered
  // For test payloads: the test device instead of virtio devices, debug port and guest events.
  bool payload = false;
  bool hugepages = false;  // memory from the host's pool of them, or none at all
  // CPUs of the host, one for each vCPU at least; nothing: the host's scheduler chooses.
  std::optional<std::vector<uint32_t>> pin;
  bool split_irqchip = false;  // the IOAPIC here instead of in KVM, and no 8259s, no 8254
  std::string kvm_device = kvm::kDevicePath;
  std::string cpu = "host";  // the processors' features, as arch::parse_cpu_model() reads them
  std::vector<std::string> vfio_pci;  // addresses of the host's PCI functions that it is given
  std::vector<uint32_t> ttys;  // serial lines that the user has: 0, 2, 3, as in Linux's ttyS0
  std::optional<DisplayConfig> display;
  std::string display_password;  // of viewers; empty: none is asked for
};

inline bool has_pci(const MachineConfig& config) { return config.transport == Transport::kPci; }

// How many virtio devices this configuration asks for: the console, the disks, the shares, the
// network interfaces, the vsock, the rng, the balloon, a display's two; none for a payload.
size_t count_virtio_devices(const MachineConfig& config);

// The kernel command line of the machine: the caller's and one entry per virtio-mmio device
// (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES), `virtio_devices` of them. PCI needs none.
std::string full_command_line(const MachineConfig& config, size_t virtio_devices);

}  // namespace vmm::machine
