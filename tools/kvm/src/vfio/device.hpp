// SPDX-License-Identifier: GPL-2.0-only
//
// One device that VFIO has handed us: its regions, to be read, written and mapped, and its
// interrupts, as eventfds (linux/vfio.h). Owned by the function that shows it to the guest; reads
// and writes on any thread. When it is closed the kernel resets the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/unique_fd.hpp"
#include "vfio/container.hpp"

namespace vmm::vfio {

// A bar or the configuration space, within the device's file. A size of zero: there is none.
struct Region {
  uint64_t size = 0;
  uint64_t offset = 0;
  bool mappable = false;
};

class Device {
 public:
  // Throws base::ConfigError naming the function, and SystemError. The container outlives it.
  Device(Container& container, const std::string& address);

  // `index` as in linux/vfio.h: 0 to 5 are the bars, VFIO_PCI_CONFIG_REGION_INDEX is the
  // configuration space.
  Region region(unsigned index) const;

  // What the device does not answer reads as all ones, as on a bus, and is not written.
  void read(const Region& region, uint64_t offset, std::span<std::byte> data) const;
  void write(const Region& region, uint64_t offset, std::span<const std::byte> data) const;

  // How many interrupts of a kind (VFIO_PCI_MSIX_IRQ_INDEX) there are.
  uint32_t interrupts(unsigned kind) const;
  // The first interrupts of a kind write to these from now on; none of that kind fires for an empty
  // list. False when the host can't: it has too few vectors left.
  bool connect(unsigned kind, std::span<const int> event_fds) const;

  int fd() const { return file_.get(); }

 private:
  base::UniqueFd file_;
};

}  // namespace vmm::vfio
