// SPDX-License-Identifier: GPL-2.0-only
//
// A machine's configuration, as the caller (the Python bindings) passes it. Plain values, which
// validate() checks before anything is created. fields.hpp has the name of each member.
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
  bool volatile_cache = false;  // unflushed writes are lost when the machine ends
  bool transient = false;       // all writes are lost then, and the image is only read
  DiskFormat format = DiskFormat::kRaw;
  bool direct = false;  // bypass the host's page cache; raw images only
  // The base of relative names of backing files, if not the image's own folder.
  std::optional<std::string> backing_folder{};
  bool format_said = false;                  // the user chose raw, whatever the content
  std::vector<std::string> backing{};        // more files and folders allowed as backing
  std::vector<std::string> backing_files{};  // paths of backing files, if not their names
};

// A folder of the host that the guest mounts by its tag (9p, trans=virtio).
struct ShareConfig {
  static constexpr size_t kMaxTagBytes = 31;

  std::string path;
  std::string tag;
  bool read_only = false;
};

// A port of the host that is forwarded to the guest.
struct ForwardConfig {
  bool udp = false;
  std::string host_address = "127.0.0.1";
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
};

struct NetConfig {
  NetKind kind = NetKind::kUser;
  std::string mac;                      // empty: derived from the device's number
  std::vector<ForwardConfig> forwards;  // user only
  uint16_t mtu = 0;                     // user only; 0: the default
  bool host_loopback = false;           // user only: 10.0.2.2 leads to the host's 127.0.0.1
  std::vector<std::string> closed{};    // user only: networks that the guest must not reach
  std::string tap;                      // name of the interface
  int tap_fd = -1;                      // or an open tap, which the caller keeps
  uint16_t queues = 1;                  // queue pairs; for a named tap
  std::string host_address;             // for the interface, like 192.168.7.1/24; empty: unchanged
  bool vhost = false;                   // tap only: the host's kernel moves the frames
};

struct VsockConfig {
  // The path of the Unix socket. Without one the host's kernel serves the device (vhost), and the
  // peers are the host's own AF_VSOCK sockets.
  std::optional<std::string> path{};
  uint64_t cid = 3;
};

struct DisplayConfig {
  static constexpr uint32_t kLeast = 64;  // pixels, width and height
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
  std::optional<uint64_t> balloon_mib;  // target at the start; nothing: no balloon
  EventPaths guest_events = EventPaths::kAuto;
  Transport transport = Transport::kMmio;               // for all virtio devices
  Ring ring = Ring::kSplit;                             // for all virtio devices
  loader::Protocol protocol = loader::Protocol::kAuto;  // how the kernel is entered
  // For test payloads: gives the machine the test device, and no virtio devices, debug port or
  // guest events.
  bool payload = false;
  bool hugepages = false;   // all memory from the host's pool, or an error
  bool rewindable = false;  // can be put back to a checkpoint: fewer devices, memory in a file
  // Host CPUs, at least one per vCPU; nothing: the host's scheduler chooses.
  std::optional<std::vector<uint32_t>> pin;
  bool split_irqchip = false;  // IOAPIC in the VMM instead of KVM; no 8259s, no 8254
  std::string kvm_device = kvm::kDevicePath;
  std::string cpu = "host";  // the processors' features, in the syntax of arch::parse_cpu_model()
  std::vector<std::string> vfio_pci;  // addresses of assigned PCI functions of the host
  std::vector<uint32_t> ttys;         // serial lines for the user: 0, 2, 3, as in Linux's ttyS0
  std::optional<DisplayConfig> display;
  std::string display_password;  // for viewers; empty: none needed
};

inline bool has_pci(const MachineConfig& config) { return config.transport == Transport::kPci; }

// The number of virtio devices in this configuration: the console, the disks, the shares, the
// network interfaces, the vsock, the rng, the balloon, two for a display; none for a payload.
size_t count_virtio_devices(const MachineConfig& config);

// The machine's kernel command line: the caller's plus one entry for each of `virtio_devices`
// virtio-mmio devices (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES). PCI needs none.
std::string full_command_line(const MachineConfig& config, size_t virtio_devices);

}  // namespace vmm::machine
