// SPDX-License-Identifier: GPL-2.0-only
#include "machine/disk.hpp"

#include <utility>

#include "backend/qcow2/image.hpp"
#include "backend/raw_file.hpp"
#include "backend/volatile_cache.hpp"

namespace vmm::machine {
namespace {

std::unique_ptr<backend::BlockBackend> open_image(base::EventLoop& loop, const DiskConfig& disk) {
  if (disk.format == "qcow2") {
    return std::make_unique<backend::qcow2::Image>(disk.path, disk.read_only, disk.backing_folder);
  }
  return std::make_unique<backend::RawFile>(disk.path, disk.read_only, disk.direct,
                                            backend::IoRing::create(loop));
}

}  // namespace

std::unique_ptr<backend::BlockBackend> open_disk(base::EventLoop& loop, const DiskConfig& disk) {
  auto image = open_image(loop, disk);
  if (!disk.volatile_cache) return image;
  return std::make_unique<backend::VolatileCache>(std::move(image));
}

}  // namespace vmm::machine
