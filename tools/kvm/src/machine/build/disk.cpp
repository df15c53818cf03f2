// SPDX-License-Identifier: GPL-2.0-only
#include "machine/build/disk.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/image_kind.hpp"
#include "backend/qcow2/image.hpp"
#include "backend/raw_file.hpp"
#include "backend/volatile_cache.hpp"
#include "base/error.hpp"

namespace vmm::machine {
namespace {

// An image is useless as a raw disk, and writes would destroy it.
void refuse_image(const std::string& path, backend::BlockBackend& disk) {
  std::vector<std::byte> start(std::min<uint64_t>(disk.size_bytes(), backend::kImageKindBytes));
  const iovec buffer{start.data(), start.size()};
  if (disk.read(0, std::span(&buffer, 1))) return;  // the guest will get the error
  const std::string kind(backend::image_kind(start));
  if (kind.empty()) return;
  const std::string fix = kind == "qcow2" ? "attach it with ,qcow2"
                                          : "make a raw one: qemu-img convert -O raw FILE NEW";
  throw base::ConfigError("disk " + path + ": holds a " + kind + " image; " + fix +
                          "; or write ,raw if the guest is to see the file as it is");
}

std::unique_ptr<backend::BlockBackend> open_image(base::EventLoop& loop, const DiskConfig& disk) {
  const bool read_only = disk.read_only || disk.transient;
  if (disk.format == DiskFormat::kQcow2) {
    return std::make_unique<backend::qcow2::Image>(
        disk.path, read_only,
        backend::qcow2::BackingPlaces{disk.backing_folder.value_or(""), disk.backing,
                                      disk.backing_files});
  }
  auto raw = std::make_unique<backend::RawFile>(disk.path, read_only, disk.direct,
                                                backend::IoRing::create(loop));
  if (!disk.format_said) refuse_image(disk.path, *raw);
  return raw;
}

}  // namespace

std::unique_ptr<backend::BlockBackend> open_disk(base::EventLoop& loop, const DiskConfig& disk) {
  auto image = open_image(loop, disk);
  if (disk.transient) {
    return std::make_unique<backend::VolatileCache>(
        std::move(image), backend::VolatileCache::kTransientMaxBytes, backend::WriteBack::kNever);
  }
  if (!disk.volatile_cache) return image;
  return std::make_unique<backend::VolatileCache>(std::move(image));
}

}  // namespace vmm::machine
