// SPDX-License-Identifier: GPL-2.0-only
#include "vfio/device.hpp"

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "base/error.hpp"
#include "vfio/host_function.hpp"

namespace vmm::vfio {
namespace {

base::UniqueFd open_device(Container& container, const std::string& address) {
  const int group = container.group(iommu_group(address));
  return base::UniqueFd(base::check(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address.c_str()),
                                    "VFIO_GROUP_GET_DEVICE_FD"));
}

}  // namespace

Device::Device(Container& container, const std::string& address)
    : file_(open_device(container, address)) {}

Region Device::region(unsigned index) const {
  vfio_region_info info{};
  info.argsz = sizeof info;
  info.index = index;
  base::check(ioctl(fd(), VFIO_DEVICE_GET_REGION_INFO, &info), "VFIO_DEVICE_GET_REGION_INFO");
  return {info.size, info.offset, (info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0};
}

void Device::read(const Region& region, uint64_t offset, std::span<std::byte> data) const {
  const bool inside = offset <= region.size && data.size() <= region.size - offset;
  const auto place = static_cast<off_t>(region.offset + offset);
  if (!inside || pread(fd(), data.data(), data.size(), place) != std::ssize(data)) {
    std::ranges::fill(data, std::byte{0xff});
  }
}

void Device::write(const Region& region, uint64_t offset, std::span<const std::byte> data) const {
  if (offset > region.size || data.size() > region.size - offset) return;
  const auto place = static_cast<off_t>(region.offset + offset);
  // An error is ignored, as a bus would lose such a write too.
  [[maybe_unused]] const ssize_t written = pwrite(fd(), data.data(), data.size(), place);
}

uint32_t Device::interrupts(unsigned kind) const {
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = kind;
  base::check(ioctl(fd(), VFIO_DEVICE_GET_IRQ_INFO, &info), "VFIO_DEVICE_GET_IRQ_INFO");
  return (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0 ? info.count : 0;
}

bool Device::connect(unsigned kind, std::span<const int> event_fds) const {
  // struct vfio_irq_set ends in a flexible array, which ISO C++ cannot have.
  std::vector<std::byte> storage(sizeof(vfio_irq_set) + event_fds.size_bytes());
  auto* request = new (storage.data()) vfio_irq_set{};
  request->argsz = static_cast<uint32_t>(storage.size());
  request->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
                   (event_fds.empty() ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD);
  request->index = kind;
  request->count = static_cast<uint32_t>(event_fds.size());
  std::ranges::copy(std::as_bytes(event_fds), storage.begin() + sizeof(vfio_irq_set));
  return ioctl(fd(), VFIO_DEVICE_SET_IRQS, request) == 0;
}

}  // namespace vmm::vfio
