// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/run_page.hpp"

#include <sys/mman.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "base/error.hpp"

namespace vmm::kvm {
namespace {

constexpr size_t kPageSize = 4096;

}  // namespace

RunPage::RunPage(int vcpu_fd, size_t size) : size_(size) {
  void* mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
  if (mapping == MAP_FAILED) throw base::SystemError("mmap of kvm_run", errno);
  run_ = static_cast<kvm_run*>(mapping);
}

RunPage::~RunPage() {
  if (run_ != nullptr) munmap(run_, size_);
}

RunPage::RunPage(RunPage&& other) noexcept
    : run_(std::exchange(other.run_, nullptr)), size_(other.size_) {}

std::byte* RunPage::page(size_t number) const {
  assert((number + 1) * kPageSize <= size_);
  return reinterpret_cast<std::byte*>(run_) + number * kPageSize;
}

}  // namespace vmm::kvm
