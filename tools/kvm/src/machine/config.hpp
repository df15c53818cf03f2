// SPDX-License-Identifier: GPL-2.0-only
//
// What a machine is made of, as the caller (the Python bindings) states it. Plain values; checked
// by validate() before anything is created.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvm/kvm.hpp"

namespace vmm::machine {

struct DiskConfig {
  std::string path;
  bool read_only = false;
  bool volatile_cache = false;      // lose at the machine's end what the guest has not flushed
  std::string format = "raw";       // or "qcow2"; never guessed, as a guest could write a header
  bool direct = false;              // past the host's page cache; raw alone
  std::string backing_folder = "";  // of relative backing file names; empty: the image's own
  bool format_said = false;         // by the user: raw then, even if another image lies there
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
  std::string kind;          // "user" (libslirp) or "tap"
  std::string mac;           // empty: one that follows from the device's number
  uint16_t mtu = 0;          // of user; 0: the usual
  std::vector<ForwardConfig> forwards;  // of user
  bool host_loopback = false;  // of user: 10.0.2.2 leads to the host's 127.0.0.1
  std::vector<std::string> closed{};  // of user: networks that the guest must not reach
  std::string tap;           // name of the interface
  int tap_fd = -1;           // or a tap that the caller has opened, which stays the caller's
  uint16_t queue_pairs = 1;  // of tap, by name
  std::string host_address;  // for the interface, like 192.168.7.1/24; empty: as it is
  bool vhost = false;        // the host's kernel moves the frames; of tap
};

struct VsockConfig {
  std::string path;  // of the Unix socket; empty: no device, but for vhost
  uint64_t cid = 3;
  bool vhost = false;  // the host's kernel serves it, and its AF_VSOCK sockets are the other end

  bool present() const { return vhost || !path.empty(); }
};

struct DisplayConfig {
  static constexpr uint32_t kLeast = 64;  // pixels either way
  static constexpr uint32_t kMost = 4096;
  uint32_t width;
  uint32_t height;
  std::string password = "";  // of viewers; empty: none is asked for
};

struct MachineConfig {
  static constexpr uint64_t kMinMemoryMib = 32;

  std::string kernel;
  std::string initrd;  // empty: none
  std::string cmdline;
  uint32_t vcpus = 1;
  uint64_t memory_mib = 256;
  std::string kvm_device = kvm::Kvm::kPath;
  bool split_irqchip = false;  // the IOAPIC here instead of in KVM, and no 8259s, no 8254
  bool hugepages = false;    // memory from the host's pool of them, or none at all
  std::string cpu = "host";  // the processors' features, as arch::parse_cpu_model() reads them
  std::vector<DiskConfig> disks;
  std::vector<NetConfig> nets;
  VsockConfig vsock;
  std::vector<ShareConfig> shares;
  bool rng = true;
  std::optional<DisplayConfig> display;
  std::vector<uint32_t> ttys;  // serial lines that the user has: 0, 2, 3, as in Linux's ttyS0
  std::vector<std::string> vfio_pci;  // addresses of the host's PCI functions that it is given
  std::optional<uint64_t> balloon_mib;  // how much to take at the start; nothing: no balloon
  // How the guest may tell how far it has got: "auto" (by hypercall where KVM has it, else by
  // port), "port" or "none".
  std::string guest_events = "auto";
  std::string transport = "mmio";  // of every virtio device: "mmio" or "pci"
  std::string ring = "split";      // "packed" offers drivers the packed kind too
  // How the kernel is entered: "auto" (by what the file is), "linux", "pvh", "multiboot" or "flat".
  std::string protocol = "auto";
  // For test payloads: the test device instead of virtio devices, debug port and guest events.
  bool payload = false;
};

inline bool has_pci(const MachineConfig& config) { return config.transport == "pci"; }

// Throws base::ConfigError naming the value and the mend.
void validate(const MachineConfig& config);

// The kernel command line of the machine: the caller's and one entry per virtio-mmio device
// (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES), `virtio_devices` of them. PCI needs none.
std::string full_command_line(const MachineConfig& config, size_t virtio_devices);

// The same as validate() for the balloon's target, which may change while the machine runs.
void validate_balloon(uint64_t target_mib, uint64_t memory_mib);

// How many virtio devices this configuration asks for: the console, the disks, the shares, the
// network interfaces, the vsock, the rng, the balloon, a display's two; none for a payload.
size_t count_virtio_devices(const MachineConfig& config);

}  // namespace vmm::machine
