// SPDX-License-Identifier: GPL-2.0-only
#include "memory/guest_memory.hpp"

#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.hpp"

namespace vmm::memory {
namespace {

// 2 MiB: the VMM's mapping of guest memory and the nested page tables can only use large pages
// where the host address is aligned like the guest address.
constexpr uint64_t kHugePage = 2ULL << 20;
constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kPagesAtOnce = 32768;  // of /proc/self/pagemap, 256 KiB

std::byte* map_aligned(uint64_t size) {
  void* raw = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw base::SystemError("mmap of guest memory", errno);
  auto* start = static_cast<std::byte*>(raw);
  const uint64_t misaligned = reinterpret_cast<uintptr_t>(raw) % kHugePage;
  const uint64_t head = misaligned == 0 ? 0 : kHugePage - misaligned;
  if (head != 0) munmap(start, head);
  munmap(start + head + size, kHugePage - head);
  return start + head;
}

// Without MAP_NORESERVE, as a pool that runs out later would kill the VMM when the guest touches a
// page.
std::byte* map_huge_pages(uint64_t size) {
  void* start = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
  if (start != MAP_FAILED) return static_cast<std::byte*>(start);
  if (errno != ENOMEM && errno != EINVAL && errno != ENODEV && errno != EOPNOTSUPP) {
    throw base::SystemError("mmap of guest memory in huge pages", errno);
  }
  const std::string pages = std::to_string(size / kHugePage);
  throw base::ConfigError("no " + pages +
                          " huge pages are free on this host: run `sysctl "
                          "vm.nr_hugepages=" +
                          pages + "`, or use pages of the usual size");
}

base::UniqueFd create_file(uint64_t size) {
  base::UniqueFd file(base::check(memfd_create("guest", MFD_CLOEXEC), "memfd_create"));
  base::check(ftruncate(file.get(), static_cast<off_t>(size)), "ftruncate of guest memory");
  return file;
}

// Shows the file where guest memory is, at the same addresses as before. What is written to a
// private view is not in the file.
void show(std::byte* base, uint64_t size, int file, int kind) {
  void* there = mmap(base, size, PROT_READ | PROT_WRITE, kind | MAP_FIXED | MAP_NORESERVE, file, 0);
  if (there == MAP_FAILED) throw base::SystemError("mmap of guest memory", errno);
  madvise(base, size, MADV_DONTDUMP);
}

// Entries of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr uint64_t kPresent = 1ULL << 63;
constexpr uint64_t kSwapped = 1ULL << 62;
constexpr uint64_t kOfFile = 1ULL << 61;

// Whether this page of a private view was written.
bool is_own(uint64_t entry) {
  return (entry & (kPresent | kSwapped)) != 0 && (entry & kOfFile) == 0;
}

}  // namespace

GuestMemory::GuestMemory(uint64_t size_bytes, Backing backing)
    : size_(size_bytes),
      file_(backing == Backing::kFile ? create_file(size_bytes) : base::UniqueFd()),
      base_(backing == Backing::kHugePages ? map_huge_pages(size_bytes) : map_aligned(size_bytes)) {
  assert(size_bytes != 0 && size_bytes % kPageSize == 0);
  if (file_) show(base_, size_, file_.get(), MAP_SHARED);
  // Advice only: a kernel without THP refuses it, and nothing depends on it.
  madvise(base_, size_, MADV_HUGEPAGE);
  // Guest memory does not belong in a core dump of the VMM, which it would make as large as the
  // guest.
  madvise(base_, size_, MADV_DONTDUMP);
  const uint64_t low = std::min(size_, kLowEnd);
  regions_.push_back({GuestAddress{0}, low, base_});
  if (size_ > low) regions_.push_back({GuestAddress{kHighStart}, size_ - low, base_ + low});
}

GuestMemory::~GuestMemory() {
  if (kept_ != nullptr) munmap(const_cast<std::byte*>(kept_), size_);
  munmap(base_, size_);
}

void GuestMemory::checkpoint() {
  assert(file_ && kept_ == nullptr);
  void* view = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.get(), 0);
  if (view == MAP_FAILED) throw base::SystemError("mmap of guest memory", errno);
  kept_ = static_cast<const std::byte*>(view);
  show(base_, size_, file_.get(), MAP_PRIVATE);
}

template <class Do>
void GuestMemory::for_own_pages(Do act) const {
  const base::UniqueFd map(
      base::check(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "/proc/self/pagemap"));
  std::vector<uint64_t> entries(kPagesAtOnce);
  const uint64_t first = reinterpret_cast<uintptr_t>(base_) / kPageSize;
  const uint64_t pages = size_ / kPageSize;
  for (uint64_t page = 0; page < pages;) {
    const uint64_t count = std::min(pages - page, kPagesAtOnce);
    const ssize_t got = pread(map.get(), entries.data(), count * sizeof entries[0],
                              static_cast<off_t>((first + page) * sizeof entries[0]));
    const auto read = static_cast<uint64_t>(
        base::check(static_cast<int>(got), "/proc/self/pagemap") / sizeof entries[0]);
    if (read == 0) throw base::SystemError("/proc/self/pagemap ends early", EIO);
    for (uint64_t i = 0; i < read; ++i) {
      if (is_own(entries[i])) act((page + i) * kPageSize);
    }
    page += read;
  }
}

uint64_t GuestMemory::rewind() {
  assert(kept_ != nullptr);
  uint64_t copied = 0;
  // Copied rather than dropped: the page stays mapped, and the guest can write it without a fault.
  for_own_pages([&](uint64_t offset) {
    std::memcpy(base_ + offset, kept_ + offset, kPageSize);
    copied += kPageSize;
  });
  return copied;
}

std::optional<std::span<std::byte>> GuestMemory::slice(GuestAddress address,
                                                       uint64_t length) const {
  for (const Region& region : regions_) {
    if (address < region.start) continue;
    const uint64_t offset = address.value - region.start.value;
    if (offset > region.length || length > region.length - offset) continue;
    return std::span(region.host + offset, length);
  }
  return std::nullopt;
}

bool GuestMemory::read(GuestAddress address, std::span<std::byte> into) const {
  const auto from = slice(address, into.size());
  if (!from) return false;
  if (!into.empty()) std::memcpy(into.data(), from->data(), into.size());
  return true;
}

bool GuestMemory::write(GuestAddress address, std::span<const std::byte> from) {
  const auto into = slice(address, from.size());
  if (!into) return false;
  if (!from.empty()) std::memcpy(into->data(), from.data(), from.size());
  return true;
}

bool GuestMemory::drop_mapping(GuestAddress address) {
  const auto page = slice(GuestAddress{address.value / kPageSize * kPageSize}, kPageSize);
  if (!page) return false;
  // A change of protection makes KVM's MMU notifier drop the page. Adding a right and removing it
  // again never leaves another vCPU without access, as removing one first would.
  const bool changed =
      mprotect(page->data(), page->size(), PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
  return mprotect(page->data(), page->size(), PROT_READ | PROT_WRITE) == 0 && changed;
}

uint64_t GuestMemory::release(std::span<std::byte> range) {
  const auto start = reinterpret_cast<uintptr_t>(range.data());
  const auto base = reinterpret_cast<uintptr_t>(base_);
  if (start < base || start - base > size_ || range.size() > size_ - (start - base)) return 0;
  const uintptr_t first = (start + kPageSize - 1) / kPageSize * kPageSize;
  const uintptr_t end = (start + range.size()) / kPageSize * kPageSize;
  if (end <= first) return 0;
  // The kernel refuses this for locked pages and for parts of reserved huge pages: those do not
  // change.
  const int result = madvise(range.data() + (first - start), end - first, MADV_DONTNEED);
  return result == 0 ? end - first : 0;
}

uint16_t* GuestMemory::aligned_u16(GuestAddress address) const {
  if (address.value % alignof(uint16_t) != 0) return nullptr;
  const auto bytes = slice(address, sizeof(uint16_t));
  return bytes ? reinterpret_cast<uint16_t*>(bytes->data()) : nullptr;
}

std::optional<uint16_t> GuestMemory::load_acquire_u16(GuestAddress address) const {
  uint16_t* word = aligned_u16(address);
  if (word == nullptr) return std::nullopt;
  return std::atomic_ref(*word).load(std::memory_order_acquire);
}

bool GuestMemory::store_release_u16(GuestAddress address, uint16_t value) {
  uint16_t* word = aligned_u16(address);
  if (word == nullptr) return false;
  std::atomic_ref(*word).store(value, std::memory_order_release);
  return true;
}

}  // namespace vmm::memory
