// SPDX-License-Identifier: GPL-2.0-only
//
// A disk in a qcow2 file: read-write, perhaps on top of a read-only backing file. machine/ opens it
// and hands it to a virtio::Block, which owns it and serialises the calls. Data is written at once;
// references to new clusters wait in memory for flush(), which writes them in an order such that a
// crash can lose only what the guest had not flushed. Opening throws base::ConfigError with the
// path, the error and a hint; input and output fail with an error code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/block_backend.hpp"
#include "backend/qcow2/backing.hpp"
#include "backend/qcow2/header.hpp"
#include "backend/qcow2/image_file.hpp"
#include "backend/qcow2/mapping.hpp"
#include "backend/qcow2/refcounts.hpp"

namespace vmm::backend::qcow2 {

class Image final : public BlockBackend {
 public:
  static constexpr size_t kMaxBackingFiles = 16;

  Image(const std::string& path, bool read_only, const BackingPlaces& backing = {});
  ~Image() override;

  uint64_t size_bytes() const override { return header_.size_bytes; }
  bool read_only() const override { return file_.read_only(); }
  std::string identity() const override;
  std::error_code read(uint64_t offset_bytes, std::span<const iovec> into) override;
  std::error_code write(uint64_t offset_bytes, std::span<const iovec> from) override;
  std::error_code flush() override;
  std::error_code discard(uint64_t offset_bytes, uint64_t length_bytes) override;
  std::error_code write_zeroes(uint64_t offset_bytes, uint64_t length_bytes,
                               bool may_unmap) override;

 private:
  struct Chain {
    std::vector<const ImageFile*> images;  // the images above this one, to find a loop
    std::vector<std::string> places;       // where their backing files may lie
    std::vector<std::string> files;        // paths of backing files, if not their names
  };
  Image(const std::string& path, bool read_only, const std::string& folder, const Chain& above);

  Header read_header() const;
  void open_backing(const std::string& folder, const Chain& above);
  void clear_autoclear();

  std::error_code read_cluster_part(const Cluster& cluster, uint64_t offset,
                                    std::span<const iovec> into);
  std::error_code read_backing(uint64_t offset, std::span<const iovec> into);
  std::error_code read_compressed(const Cluster& cluster, uint64_t within,
                                  std::span<const iovec> into);
  std::error_code write_cluster_part(uint64_t offset, uint64_t length, std::span<const iovec> from);
  std::error_code write_new_cluster(const Cluster& old, uint64_t offset, uint64_t length,
                                    std::span<const iovec> from);
  std::error_code replace(uint64_t number, const Cluster& old, const Cluster& by);
  void release(const Cluster& cluster);
  std::error_code zero_cluster(uint64_t number, bool keep_place);
  std::error_code write_zero_bytes(uint64_t offset, uint64_t length);
  std::error_code flush_if_full();

  ImageFile file_;
  const Header header_;
  Mapping mapping_;
  Refcounts refcounts_;
  std::unique_ptr<BlockBackend> backing_;
  // The compressed cluster that was read last, as the next read is often in the same one.
  uint64_t inflated_offset_ = 0;
  std::vector<std::byte> inflated_;
};

}  // namespace vmm::backend::qcow2
