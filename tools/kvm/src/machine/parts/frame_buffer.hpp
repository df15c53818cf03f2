// SPDX-License-Identifier: GPL-2.0-only
//
// The memory of a display, outside of the guest's RAM; while there are viewers, KVM logs which of
// its pages the guest writes. machine/ owns it, after the VM; its methods are for one thread at a
// time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "display/screen.hpp"
#include "kvm/vm.hpp"
#include "memory/guest_memory.hpp"

namespace vmm::machine {

class FrameBuffer final : public display::Screen {
 public:
  // Far above the slots of RAM and of assigned devices; KVM has had 509 slots since 3.14.
  static constexpr uint32_t kSlot = 500;

  FrameBuffer(kvm::Vm& vm, const display::Geometry& geometry);
  ~FrameBuffer() override;
  FrameBuffer(const FrameBuffer&) = delete;
  FrameBuffer& operator=(const FrameBuffer&) = delete;

  display::Geometry geometry() const override { return geometry_; }
  std::span<std::byte> pixels() override { return {region_.host, geometry_.bytes()}; }
  void watch(bool watched) override;
  std::vector<display::Rows> changed_rows() override;

 private:
  kvm::Vm& vm_;
  const display::Geometry geometry_;
  memory::Region region_;
  bool watched_ = false;
  bool all_changed_ = false;
};

// The rows that overlap the pages whose bits are set; adjacent ranges are merged.
std::vector<display::Rows> rows_of_pages(std::span<const uint64_t> bits,
                                         const display::Geometry& geometry);

}  // namespace vmm::machine
