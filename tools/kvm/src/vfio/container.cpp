// SPDX-License-Identifier: GPL-2.0-only
#include "vfio/container.hpp"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace vmm::vfio {
namespace {

constexpr const char* kFolder = "/dev/vfio/";

base::UniqueFd open_file(const std::string& path, const std::string& fix) {
  base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) throw base::ConfigError(path + ": " + std::strerror(errno) + "; " + fix);
  return file;
}

}  // namespace

Container::Container()
    : file_(open_file(std::string(kFolder) + "vfio",
                      "vfio-pci needs the host's VFIO (CONFIG_VFIO_PCI) and its permission")) {
  if (ioctl(file_.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
    throw base::ConfigError("vfio-pci: this host's VFIO has no type 1 IOMMU; boot it with one on");
  }
}

int Container::group(const std::string& number) {
  if (const auto known = groups_.find(number); known != groups_.end()) return known->second.get();
  const std::string path = kFolder + number;
  base::UniqueFd file = open_file(path, "end the program that has the group, or get permission");
  vfio_group_status status{};
  status.argsz = sizeof status;
  base::check(ioctl(file.get(), VFIO_GROUP_GET_STATUS, &status), "VFIO_GROUP_GET_STATUS");
  if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
    throw base::ConfigError(path +
                            ": a function of this group has another driver; give all in "
                            "/sys/kernel/iommu_groups/" +
                            number + "/devices to vfio-pci");
  }
  const int container = file_.get();
  base::check(ioctl(file.get(), VFIO_GROUP_SET_CONTAINER, &container), "VFIO_GROUP_SET_CONTAINER");
  if (groups_.empty()) {
    base::check(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
  }
  return groups_.emplace(number, std::move(file)).first->second.get();
}

void Container::map(uint64_t address, std::span<std::byte> memory) {
  vfio_iommu_type1_dma_map request{};
  request.argsz = sizeof request;
  request.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
  request.vaddr = reinterpret_cast<uintptr_t>(memory.data());
  request.iova = address;
  request.size = memory.size();
  if (ioctl(file_.get(), VFIO_IOMMU_MAP_DMA, &request) == 0) return;
  if (errno == ENOMEM) {
    throw base::ConfigError(
        "vfio-pci: the machine's memory can't be pinned; raise `ulimit -l` to "
        "its size or more");
  }
  throw base::SystemError("VFIO_IOMMU_MAP_DMA", errno);
}

}  // namespace vmm::vfio
