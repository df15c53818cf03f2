// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device.hpp"

#include <algorithm>

namespace vmm::virtio {

void read_config_bytes(std::span<const std::byte> config, uint64_t offset,
                       std::span<std::byte> data) {
  std::ranges::fill(data, std::byte{0});
  if (offset >= config.size()) return;
  const auto from = config.subspan(offset);
  std::ranges::copy(from.first(std::min(from.size(), data.size())), data.begin());
}

}  // namespace vmm::virtio
