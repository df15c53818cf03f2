// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/header.hpp"

#include <algorithm>
#include <limits>

#include "backend/qcow2/format.hpp"
#include "base/error.hpp"

namespace vmm::backend::qcow2 {
namespace {

constexpr const char* kConvert = "make a plain one: qemu-img convert -O qcow2 FILE NEW";
constexpr const char* kRepair = "try: qemu-img check -r all FILE";
constexpr const char* kNotOurs = "take another copy of the image";

class Parser {
 public:
  Parser(const std::string& path, std::span<const std::byte> start, bool read_only)
      : path_(path), start_(start), read_only_(read_only) {}

  Header parse() {
    check_kind();
    fill_common();
    check_features();
    check_geometry();
    read_backing();
    return header_;
  }

 private:
  template <std::unsigned_integral T>
  T field(size_t offset) const {
    return load<T>(start_, offset);
  }
  [[noreturn]] void fail(const std::string& what, const std::string& fix) const {
    refuse(path_, what, fix);
  }

  void check_kind() {
    if (start_.size() < kVersion2Bytes || field<uint32_t>(0) != kMagic) {
      fail("is not a qcow2 image", "attach it as what it is, for example with PATH,raw");
    }
    header_.version = field<uint32_t>(4);
    if (header_.version != 2 && header_.version != 3) {
      fail("has qcow2 version " + std::to_string(header_.version) + ", not 2 or 3", kConvert);
    }
    if (header_.version == 3 && start_.size() < kVersion3Bytes)
      fail("ends in its header", kNotOurs);
    if (field<uint32_t>(32) != 0) fail("is encrypted", "decrypt it with qemu-img convert");
  }

  void fill_common() {
    header_.cluster_bits = field<uint32_t>(20);
    header_.size_bytes = field<uint64_t>(24);
    header_.l1_entries = field<uint32_t>(36);
    header_.l1_offset = field<uint64_t>(40);
    header_.refcount_table_offset = field<uint64_t>(kRefcountTableOffsetAt);
    header_.refcount_table_clusters = field<uint32_t>(56);
    header_.refcount_order = kDefaultRefcountOrder;
    if (header_.version == 3) {
      header_.autoclear = field<uint64_t>(kAutoclearAt);
      header_.refcount_order = field<uint32_t>(96);
    }
    if (field<uint32_t>(60) != 0 && !read_only_) {
      fail("holds snapshots, which a write would have to keep", "attach it with ,ro or convert it");
    }
  }

  void check_features() {
    if (header_.version == 2) return;
    const uint64_t features = field<uint64_t>(72);
    if (features & kIncompatibleDataFile) fail("keeps its data in another file", kConvert);
    if (features & kIncompatibleExtendedL2) fail("has extended L2 entries", kConvert);
    if (features & kIncompatibleCompression) {
      fail("is not compressed by zlib but by another method", kConvert);
    }
    if (features & kIncompatibleCorrupt) fail("is marked as corrupt", kRepair);
    if ((features & kIncompatibleDirty) && !read_only_) {
      fail("was not closed, so its refcounts may be wrong", kRepair);
    }
    constexpr uint64_t kKnown = (kIncompatibleExtendedL2 << 1) - 1;
    if (features & ~kKnown) {
      fail("needs features that nobody here knows: bits " + std::to_string(features & ~kKnown),
           kConvert);
    }
    if ((header_.autoclear & kAutoclearBitmaps) && !read_only_) {
      fail("holds bitmaps, which a write would have to keep up", "qemu-img bitmap --remove them");
    }
  }

  void check_geometry() {
    const Header& h = header_;
    if (h.cluster_bits < kMinClusterBits || h.cluster_bits > kMaxClusterBits) {
      fail("has clusters of 2^" + std::to_string(h.cluster_bits) + " bytes", kNotOurs);
    }
    if (h.refcount_order > kMaxRefcountOrder) {
      fail("has refcounts of 2^" + std::to_string(h.refcount_order) + " bits", kNotOurs);
    }
    if (h.size_bytes % kSectorBytes != 0 || h.size_bytes > (1ULL << 60)) {
      fail("has a disk of " + std::to_string(h.size_bytes) + " bytes, not whole sectors", kNotOurs);
    }
    const uint64_t needed = (h.clusters() + h.l2_entries() - 1) / h.l2_entries();
    if (h.l1_entries < needed) fail("has an L1 table too short for its disk", kNotOurs);
    if (h.l1_entries > kMaxL1Bytes / sizeof(uint64_t)) fail("has too long an L1 table", kNotOurs);
    if (h.l1_entries != 0) check_table(h.l1_offset, "L1 table");
    check_table(h.refcount_table_offset, "refcount table");
    const uint64_t most = std::max<uint64_t>(kMaxRefcountTableBytes >> h.cluster_bits, 1);
    if (h.refcount_table_clusters == 0 || h.refcount_table_clusters > most) {
      fail("has a refcount table of " + std::to_string(h.refcount_table_clusters) + " clusters",
           kNotOurs);
    }
  }

  void check_table(uint64_t offset, const std::string& name) const {
    if (offset == 0 || offset % header_.cluster_bytes() != 0 || offset > kOffsetMask) {
      fail("has its " + name + " at " + std::to_string(offset) + ", which is no place for it",
           kNotOurs);
    }
  }

  void read_backing() {
    const uint64_t offset = field<uint64_t>(8);
    const uint32_t length = field<uint32_t>(16);
    if (offset == 0) return;
    if (length == 0 || length > kMaxBackingNameBytes || offset > start_.size() ||
        length > start_.size() - offset) {
      fail("has a backing file's name that is outside of its header", kNotOurs);
    }
    const auto name = start_.subspan(offset, length);
    header_.backing_path.assign(reinterpret_cast<const char*>(name.data()), name.size());
    if (header_.backing_path.find('\0') != std::string::npos) {
      fail("has a backing file's name with a zero byte in it", kNotOurs);
    }
    read_backing_format();
    if (header_.backing_format != "raw" && header_.backing_format != "qcow2") {
      // Guessing is not safe: a guest's data on a raw disk may look like an image.
      fail("does not say whether its backing file is raw or qcow2",
           "write it down: qemu-img rebase -u -F raw|qcow2 -b BACKING FILE");
    }
  }

  void read_backing_format() {
    constexpr size_t kHeadBytes = 8;
    size_t at = header_.version == 3 ? field<uint32_t>(100) : kVersion2Bytes;
    while (at <= start_.size() && start_.size() - at >= kHeadBytes) {
      const auto type = field<uint32_t>(at);
      const auto length = field<uint32_t>(at + 4);
      at += kHeadBytes;
      if (type == kExtensionEnd) return;
      if (length > start_.size() - at) break;
      if (type == kExtensionBackingFormat) {
        const auto value = start_.subspan(at, length);
        header_.backing_format.assign(reinterpret_cast<const char*>(value.data()), value.size());
      }
      at += (size_t{length} + 7) & ~size_t{7};
    }
    fail("has header extensions that do not end", kNotOurs);
  }

  const std::string& path_;
  std::span<const std::byte> start_;
  bool read_only_;
  Header header_{};
};

}  // namespace

Header parse_header(const std::string& path, std::span<const std::byte> start, bool read_only) {
  return Parser(path, start, read_only).parse();
}

void refuse(const std::string& path, const std::string& what, const std::string& fix) {
  throw base::ConfigError("disk " + path + ": " + what + "; " + fix);
}

}  // namespace vmm::backend::qcow2
