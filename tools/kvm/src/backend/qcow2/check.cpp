// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/check.hpp"

#include <string>
#include <vector>

#include "backend/qcow2/format.hpp"

namespace vmm::backend::qcow2 {
namespace {

constexpr const char* kRepair = "try: qemu-img check -r all FILE";

constexpr uint64_t kMaxClusters = 1 << 26;
// The limit for L2 tables, without holes: enough for 8 TiB with tables of 64 KiB.
constexpr uint64_t kMaxTableBytes = 1 << 30;
constexpr uint16_t kExclusive = 1 << 15;  // a flag next to the number of uses
constexpr uint16_t kMaxUses = kExclusive - 1;

class Check {
 public:
  Check(const ImageFile& file, const Header& header, const Mapping& mapping, Refcounts& refcounts)
      : file_(file), header_(header), mapping_(mapping), refcounts_(refcounts) {
    // A compressed cluster's upper bound may lie past the end.
    const uint64_t clusters = header.cluster_of(file.size_bytes()) + 4;
    if (clusters > kMaxClusters) {
      refuse(file.path(), "has " + std::to_string(clusters) + " clusters, too many to check",
             "use larger ones: qemu-img convert -O qcow2 -o cluster_size=64k FILE NEW");
    }
    uses_.resize(clusters);
  }

  void run() {
    claim(0, 1, "header");
    claim(refcounts_.table_offset(), refcounts_.table_clusters(), "refcount table");
    claim(header_.l1_offset, table_clusters(mapping_.l1().size()), "L1 table");
    for (const uint64_t offset : refcounts_.block_offsets()) claim(offset, 1, "refcount block");
    for (size_t place = 0; place < mapping_.l1().size(); ++place) claim_table(place);
    if (tables_.size() > kMaxTableBytes >> header_.cluster_bits) {
      refuse(file_.path(), "has more than 1 GiB of L2 tables, too much to check",
             "use larger clusters: qemu-img convert -O qcow2 -o cluster_size=2M FILE NEW");
    }
    for (const size_t place : tables_) check_table(place);
    if (!file_.read_only()) check_counts();
  }

 private:
  uint64_t table_clusters(uint64_t entries) const {
    return (entries * sizeof(uint64_t) + header_.cluster_bytes() - 1) >> header_.cluster_bits;
  }

  // Checks that an object lies there as a whole, and that nothing else does.
  void claim(uint64_t offset, uint64_t clusters, const std::string& what) {
    const bool aligned = offset % header_.cluster_bytes() == 0 && offset <= kOffsetMask;
    if (!aligned || (offset >= file_.size_bytes() && clusters != 0)) {
      refuse(
          file_.path(),
          "has its " + what + " at " + std::to_string(offset) + ", which is no place in the file",
          kRepair);
    }
    for (uint64_t i = 0; i < clusters; ++i) {
      const uint64_t cluster = header_.cluster_of(offset) + i;
      if (cluster >= uses_.size() || uses_[cluster] != 0) refuse_shared(cluster, what);
      uses_[cluster] = kExclusive | 1;
    }
  }

  [[noreturn]] void refuse_shared(uint64_t cluster, const std::string& what) const {
    refuse(file_.path(),
           "uses the cluster at " + std::to_string(cluster << header_.cluster_bits) +
               " twice, once for a " + what,
           kRepair);
  }

  // Skips holes: a small file can claim terabytes of tables, which would take hours to read.
  void claim_table(size_t place) {
    const uint64_t entry = mapping_.l1()[place];
    if (entry == 0) return;
    if (entry & ~(kOffsetMask | kCopied)) {
      refuse(file_.path(), "has an impossible L1 entry, number " + std::to_string(place), kRepair);
    }
    const uint64_t offset = entry & kOffsetMask;
    claim(offset, 1, "L2 table");
    if (!file_.is_hole(offset, header_.cluster_bytes())) tables_.push_back(place);
  }

  void check_table(size_t place) {
    std::vector<uint64_t> entries(header_.l2_entries());
    if (const auto error = file_.read_entries(mapping_.l1()[place] & kOffsetMask, entries)) {
      refuse(file_.path(), "can't be read: " + error.message(), "take another copy of the image");
    }
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] != 0) check_cluster(place * entries.size() + i, entries[i]);
    }
  }

  void check_cluster(uint64_t number, uint64_t entry) {
    const auto cluster = mapping_.decode(entry);
    if (!cluster) {
      refuse(file_.path(),
             "has an impossible L2 entry for cluster " + std::to_string(number) + " of the disk",
             kRepair);
    }
    if (cluster->kind == Cluster::Kind::kCompressed) {
      // Compressed clusters share clusters of the file, but only with each other.
      const uint64_t last = header_.cluster_of(cluster->offset + cluster->length - 1);
      for (uint64_t at = header_.cluster_of(cluster->offset); at <= last; ++at) {
        if (at >= uses_.size() || (uses_[at] & kExclusive)) refuse_shared(at, "compressed cluster");
        if (uses_[at] < kMaxUses) ++uses_[at];
      }
    } else if (cluster->offset != 0) {
      claim(cluster->offset, 1, "cluster of the disk");
    }
  }

  void check_counts() {
    for (uint64_t cluster = 0; cluster < uses_.size(); ++cluster) {
      const uint64_t uses = uses_[cluster] & kMaxUses;
      if (uses != 0) compare(cluster, uses);
    }
  }

  // A count above the number of uses only wastes space.
  void compare(uint64_t cluster, uint64_t used) {
    const auto counted = refcounts_.count(cluster);
    if (const std::error_code* error = std::get_if<std::error_code>(&counted)) {
      refuse(file_.path(), "can't be read: " + error->message(), "take another copy of the image");
    }
    if (std::get<uint64_t>(counted) >= used) return;
    refuse(file_.path(),
           "counts " + std::to_string(std::get<uint64_t>(counted)) + " uses of the cluster at " +
               std::to_string(cluster << header_.cluster_bits) + ", which has " +
               std::to_string(used),
           kRepair);
  }

  const ImageFile& file_;
  const Header& header_;
  const Mapping& mapping_;
  Refcounts& refcounts_;
  std::vector<uint16_t> uses_;
  std::vector<size_t> tables_;  // L1 indices of tables that were ever written
};

}  // namespace

void check_image(const ImageFile& file, const Header& header, const Mapping& mapping,
                 Refcounts& refcounts) {
  Check(file, header, mapping, refcounts).run();
}

}  // namespace vmm::backend::qcow2
