// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/assigned.hpp"

#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"
#include "vfio/device.hpp"

namespace vmm::machine {
namespace {

uint64_t low_ram_end(const memory::GuestMemory& memory) {
  const memory::Region& low = memory.regions().front();
  return low.start.value + low.length;
}

}  // namespace

bool VmWindows::place(uint32_t window, uint64_t address, std::span<std::byte> memory) {
  if (address < start_ || memory.size() > end_ - start_ || address > end_ - memory.size()) {
    return false;
  }
  return vm_.try_add_memory(window, {memory::GuestAddress{address}, memory.size(), memory.data()});
}

AssignedFunctions::AssignedFunctions(kvm::Vm& vm, memory::GuestMemory& memory,
                                     base::EventLoop& loop, PciBus& bus,
                                     const std::vector<std::string>& addresses)
    : windows_(vm, static_cast<uint32_t>(memory.regions().size()), low_ram_end(memory),
               arch::layout::kPciEcam) {
  for (const std::string& address : addresses) {
    vfio::Device device(container_, address);
    // The container has an IOMMU once it has its first group.
    if (functions_.empty()) {
      for (const memory::Region& region : memory.regions()) {
        container_.map(region.start.value, {region.host, region.length});
      }
    }
    auto function =
        std::make_unique<vfio::Function>(address, std::move(device), bus.messages, loop, windows_);
    if (!bus.root.has_room(*function)) {
      throw base::ConfigError("vfio-pci " + address +
                              ": the machine's bus has no room for its bars; "
                              "leave out this function or another device");
    }
    bus.root.attach(*function, "vfio-" + address);
    functions_.push_back(std::move(function));
  }
}

}  // namespace vmm::machine
