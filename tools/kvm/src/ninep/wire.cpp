// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/wire.hpp"

#include <cassert>
#include <limits>

namespace vmm::ninep {

std::span<const std::byte> Reader::take_bytes(size_t count) {
  if (count > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const auto taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

std::string Reader::take_string() {
  const auto bytes = take_bytes(take<uint16_t>());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void Writer::put_string(std::string_view text) {
  assert(text.size() <= std::numeric_limits<uint16_t>::max());
  put(static_cast<uint16_t>(text.size()));
  append(std::as_bytes(std::span(text)));
}

void Writer::append(std::span<const std::byte> bytes) {
  const size_t before = bytes_.size();
  bytes_.resize(before + bytes.size());
  if (!bytes.empty()) std::memcpy(bytes_.data() + before, bytes.data(), bytes.size());
}

void Writer::set_u32(size_t offset, uint32_t value) {
  assert(offset + sizeof value <= bytes_.size());
  std::memcpy(bytes_.data() + offset, &value, sizeof value);
}

}  // namespace vmm::ninep
