// SPDX-License-Identifier: GPL-2.0-only
#include "machine/parts/frame_buffer.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "arch/x86_64/layout.hpp"
#include "base/error.hpp"

namespace vmm::machine {
namespace {

namespace layout = arch::layout;

memory::Region map(uint64_t bytes) {
  const uint64_t length = (bytes + layout::kPageSize - 1) / layout::kPageSize * layout::kPageSize;
  void* host = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (host == MAP_FAILED) throw base::SystemError("mmap of a frame buffer", errno);
  madvise(host, length, MADV_DONTDUMP);  // like the rest of the guest's memory
  return {memory::GuestAddress{layout::kFrameBuffer}, length, static_cast<std::byte*>(host)};
}

}  // namespace

FrameBuffer::FrameBuffer(kvm::Vm& vm, const display::Geometry& geometry)
    : vm_(vm), geometry_(geometry), region_(map(geometry.bytes())) {
  vm_.add_memory(kSlot, region_);
}

FrameBuffer::~FrameBuffer() {
  vm_.remove_memory(kSlot);
  munmap(region_.host, region_.length);
}

void FrameBuffer::watch(bool watched) {
  vm_.log_writes(kSlot, region_, watched);
  watched_ = watched;
  all_changed_ = watched;  // as changes were not logged before
}

std::vector<display::Rows> FrameBuffer::changed_rows() {
  if (!watched_) return {};
  const auto bits = vm_.dirty_pages(kSlot, region_.length / layout::kPageSize);
  if (all_changed_) {
    all_changed_ = false;
    return {{0, geometry_.height}};
  }
  return rows_of_pages(bits, geometry_);
}

std::vector<display::Rows> rows_of_pages(std::span<const uint64_t> bits,
                                         const display::Geometry& geometry) {
  constexpr size_t kBits = 64;
  const size_t row_bytes = geometry.row_bytes();
  std::vector<display::Rows> found;
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      const size_t page = word * kBits + static_cast<size_t>(std::countr_zero(left));
      const size_t start = page * layout::kPageSize;
      const auto first = static_cast<uint32_t>(start / row_bytes);
      const size_t last = (start + layout::kPageSize - 1) / row_bytes;
      const auto end = static_cast<uint32_t>(std::min<size_t>(last + 1, geometry.height));
      if (first >= geometry.height) break;
      if (!found.empty() && first <= found.back().end) {
        found.back().end = std::max(found.back().end, end);
      } else {
        found.push_back({first, end});
      }
    }
  }
  return found;
}

}  // namespace vmm::machine
