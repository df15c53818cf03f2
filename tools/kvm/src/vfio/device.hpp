// SPDX-License-Identifier: GPL-2.0-only
//
// One device opened by VFIO: its regions, which can be read, written and mapped, and its
// interrupts, as eventfds (linux/vfio.h). Owned by the function that presents it to the guest;
// reads and writes on any thread. The kernel resets the device when it is closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.hpp"
#include "vfio/container.hpp"

namespace vmm::vfio {

// A bar or the configuration space, within the device's file. Size zero means that it does not
// exist.
struct Region {
  uint64_t size = 0;
  uint64_t offset = 0;
  bool mappable = false;
};

class Device {
 public:
  // Throws a base::ConfigError with the function, or SystemError. The container outlives it.
  Device(Container& container, const std::string& address);

  // `index` as in linux/vfio.h: 0 to 5 are the bars, VFIO_PCI_CONFIG_REGION_INDEX is the
  // configuration space.
  Region region(unsigned index) const;

  // If the device does not answer, reads return all ones, as on a bus, and writes are lost.
  void read(const Region& region, uint64_t offset, std::span<std::byte> data) const;
  void write(const Region& region, uint64_t offset, std::span<const std::byte> data) const;

  // The number of interrupts of a kind (such as VFIO_PCI_MSIX_IRQ_INDEX).
  uint32_t interrupts(unsigned kind) const;
  // Connects the first interrupts of a kind to these eventfds; an empty list disables the kind.
  // False when the host has too few vectors left.
  bool connect(unsigned kind, std::span<const int> event_fds) const;

  int fd() const { return file_.get(); }

 private:
  base::UniqueFd file_;
};

}  // namespace vmm::vfio
