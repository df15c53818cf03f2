// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/image.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "backend/buffer_cursor.hpp"
#include "backend/qcow2/check.hpp"
#include "backend/qcow2/compressed.hpp"
#include "backend/qcow2/format.hpp"
#include "backend/raw_file.hpp"
#include "base/error.hpp"

namespace vmm::backend::qcow2 {
namespace {

using Kind = Cluster::Kind;

std::error_code failed(const std::variant<Cluster, std::error_code>& found) {
  const auto* error = std::get_if<std::error_code>(&found);
  return error != nullptr ? *error : std::error_code{};
}

}  // namespace

Image::Image(const std::string& path, bool read_only, const BackingPlaces& backing)
    : Image(path, read_only, backing.folder, {{}, resolve_places(path, backing), backing.files}) {}

Image::Image(const std::string& path, bool read_only, const std::string& folder, const Chain& above)
    : file_(path, read_only),
      header_(read_header()),
      mapping_(file_, header_),
      refcounts_(file_, header_) {
  std::error_code error = mapping_.load();
  if (!error) error = refcounts_.load();
  if (error) refuse(path, "can't be read: " + error.message(), "check the file system");
  check_image(file_, header_, mapping_, refcounts_);
  if (!header_.backing_path.empty()) open_backing(folder, above);
  if (!read_only) clear_autoclear();
}

Image::~Image() {
  if (!read_only()) static_cast<void>(flush());
}

Header Image::read_header() const {
  std::vector<std::byte> start(std::min<uint64_t>(file_.size_bytes(), kHeaderReadBytes));
  if (const auto error = file_.read(0, std::span(start))) {
    refuse(file_.path(), "can't be read: " + error.message(), "check the file system");
  }
  return parse_header(file_.path(), start, file_.read_only());
}

void Image::open_backing(const std::string& folder, const Chain& above) {
  const std::string& name = header_.backing_path;
  const size_t depth = above.images.size();
  const std::string known = depth < above.files.size() ? above.files[depth] : "";
  const std::string path = find_backing(file_.path(), name, folder, above.places, known);
  Chain chain = above;
  chain.images.push_back(&file_);
  if (std::ranges::any_of(chain.images, [&](const ImageFile* seen) { return seen->is(path); })) {
    refuse(file_.path(), "leads back to itself by its backing file " + name,
           "give it another one: qemu-img rebase -u -F FORMAT -b OTHER FILE");
  }
  if (chain.images.size() > kMaxBackingFiles) {
    refuse(file_.path(), "stands on more than " + std::to_string(kMaxBackingFiles) + " others",
           "join some: qemu-img commit");
  }
  try {
    if (header_.backing_format == "raw") {
      backing_ = std::make_unique<RawFile>(path, true);
    } else {
      backing_ = std::unique_ptr<BlockBackend>(new Image(path, true, "", chain));
    }
  } catch (const base::ConfigError& error) {
    throw base::ConfigError("disk " + file_.path() + ", its backing file: " + error.what());
  }
}

// Clears features that are valid only while every writer supports them.
void Image::clear_autoclear() {
  if (header_.version == 2 || header_.autoclear == 0) return;
  const uint64_t none = 0;
  const auto error = file_.write(kAutoclearAt, std::as_bytes(std::span(&none, 1)));
  if (error) refuse(file_.path(), "can't be written: " + error.message(), "check the file system");
}

std::string Image::identity() const {
  return std::filesystem::path(file_.path()).filename().string();
}

std::error_code Image::read(uint64_t offset_bytes, std::span<const iovec> into) {
  BufferCursor buffers(into);
  while (buffers.left() > 0) {
    const auto found = mapping_.find(header_.cluster_of(offset_bytes));
    if (const auto error = failed(found)) return error;
    const Cluster first = std::get<Cluster>(found);
    uint64_t length = header_.cluster_bytes() - offset_bytes % header_.cluster_bytes();
    // Read clusters together that are adjacent on the disk and in the file, or that are all
    // unallocated.
    while (length < buffers.left()) {
      const auto next = mapping_.find(header_.cluster_of(offset_bytes + length));
      if (const auto error = failed(next)) return error;
      const Cluster& cluster = std::get<Cluster>(next);
      if (cluster.kind != first.kind || first.kind == Kind::kCompressed) break;
      const uint64_t behind = first.offset + offset_bytes % header_.cluster_bytes() + length;
      if (first.kind == Kind::kData && cluster.offset != behind) break;
      length += header_.cluster_bytes();
    }
    length = std::min(length, buffers.left());
    if (const auto error = read_cluster_part(first, offset_bytes, buffers.take(length))) {
      return error;
    }
    offset_bytes += length;
  }
  return {};
}

std::error_code Image::read_cluster_part(const Cluster& cluster, uint64_t offset,
                                         std::span<const iovec> into) {
  const uint64_t within = offset % header_.cluster_bytes();
  switch (cluster.kind) {
    case Kind::kUnallocated:
      return read_backing(offset, into);
    case Kind::kZero:
      clear(into);
      return {};
    case Kind::kData:
      return file_.read(cluster.offset + within, into);
    case Kind::kCompressed:
      return read_compressed(cluster, within, into);
  }
  return std::make_error_code(std::errc::io_error);
}

// The backing file may be shorter: past its end there are zeroes.
std::error_code Image::read_backing(uint64_t offset, std::span<const iovec> into) {
  BufferCursor buffers(into);
  if (backing_ != nullptr && offset < backing_->size_bytes()) {
    const uint64_t there = std::min(buffers.left(), backing_->size_bytes() - offset);
    if (const auto error = backing_->read(offset, buffers.take(there))) return error;
  }
  clear(buffers.take(buffers.left()));
  return {};
}

std::error_code Image::read_compressed(const Cluster& cluster, uint64_t within,
                                       std::span<const iovec> into) {
  if (inflated_offset_ != cluster.offset) {
    inflated_offset_ = 0;
    inflated_.resize(header_.cluster_bytes());
    std::vector<std::byte> compressed(cluster.length);
    if (const auto error = file_.read(cluster.offset, std::span(compressed))) return error;
    if (const auto error = inflate_cluster(compressed, inflated_)) return error;
    inflated_offset_ = cluster.offset;
  }
  scatter(inflated_.data() + within, into);
  return {};
}

std::error_code Image::write(uint64_t offset_bytes, std::span<const iovec> from) {
  BufferCursor buffers(from);
  while (buffers.left() > 0) {
    const uint64_t rest = header_.cluster_bytes() - offset_bytes % header_.cluster_bytes();
    const uint64_t length = std::min(rest, buffers.left());
    if (const auto error = write_cluster_part(offset_bytes, length, buffers.take(length))) {
      return error;
    }
    offset_bytes += length;
  }
  return flush_if_full();
}

std::error_code Image::write_cluster_part(uint64_t offset, uint64_t length,
                                          std::span<const iovec> from) {
  const auto found = mapping_.find(header_.cluster_of(offset));
  if (const auto error = failed(found)) return error;
  const Cluster old = std::get<Cluster>(found);
  if (old.kind == Kind::kData) {
    return file_.write(old.offset + offset % header_.cluster_bytes(), from);
  }
  return write_new_cluster(old, offset, length, from);
}

// Writes a whole cluster: the new data, with the disk's old content around it.
std::error_code Image::write_new_cluster(const Cluster& old, uint64_t offset, uint64_t length,
                                         std::span<const iovec> from) {
  const uint64_t within = offset % header_.cluster_bytes();
  uint64_t place = old.kind == Kind::kZero ? old.offset : 0;
  if (place == 0) {
    const auto allocated = refcounts_.allocate();
    if (const auto* error = std::get_if<std::error_code>(&allocated)) return *error;
    place = std::get<uint64_t>(allocated);
  }
  std::error_code error;
  if (length == header_.cluster_bytes()) {
    error = file_.write(place, from);
  } else {
    std::vector<std::byte> whole(header_.cluster_bytes());
    const iovec buffer{whole.data(), whole.size()};
    error = read_cluster_part(old, offset - within, std::span(&buffer, 1));
    gather(from, whole.data() + within);
    if (!error) error = file_.write(place, std::span<const std::byte>(whole));
  }
  if (!error) error = replace(header_.cluster_of(offset), old, Cluster::data(place));
  if (error && place != old.offset) refcounts_.take_back(place);
  return error;
}

// A cluster that the disk still refers to is released later.
std::error_code Image::replace(uint64_t number, const Cluster& old, const Cluster& by) {
  if (const auto error = mapping_.set(number, by, refcounts_)) return error;
  if (by.offset != old.offset || old.kind == Kind::kCompressed) release(old);
  return {};
}

void Image::release(const Cluster& cluster) {
  if (cluster.offset == 0) return;
  if (cluster.kind != Kind::kCompressed) {
    refcounts_.release_later(cluster.offset);
    return;
  }
  if (inflated_offset_ == cluster.offset) inflated_offset_ = 0;
  const uint64_t last = header_.cluster_of(cluster.offset + cluster.length - 1);
  for (uint64_t at = header_.cluster_of(cluster.offset); at <= last; ++at) {
    refcounts_.release_later(at << header_.cluster_bits);
  }
}

std::error_code Image::flush_if_full() { return mapping_.full() ? flush() : std::error_code{}; }

std::error_code Image::flush() {
  if (read_only()) return {};
  // First counts and data, then references to them, then the release of unreferenced clusters.
  if (const auto error = refcounts_.write_back()) return error;
  if (const auto error = file_.sync()) return error;
  if (mapping_.dirty()) {
    if (const auto error = mapping_.write_back()) return error;
    if (const auto error = file_.sync()) return error;
  }
  if (!refcounts_.dirty()) return {};
  if (const auto error = refcounts_.release_pending()) return error;
  return refcounts_.write_back();
}

std::error_code Image::discard(uint64_t offset_bytes, uint64_t length_bytes) {
  // Only whole clusters can be discarded.
  const uint64_t first = (offset_bytes + header_.cluster_bytes() - 1) >> header_.cluster_bits;
  uint64_t end = (offset_bytes + length_bytes) >> header_.cluster_bits;
  if (offset_bytes + length_bytes == size_bytes()) end = header_.clusters();
  for (uint64_t number = first; number < end; ++number) {
    // Version 2 can't mark a cluster as empty where the backing file has data.
    if (header_.version == 2 && backing_ != nullptr) break;
    if (const auto error = zero_cluster(number, false)) return error;
  }
  return flush_if_full();
}

std::error_code Image::zero_cluster(uint64_t number, bool keep_place) {
  const auto found = mapping_.find(number);
  if (const auto error = failed(found)) return error;
  const Cluster old = std::get<Cluster>(found);
  if (old.kind == Kind::kUnallocated && backing_ == nullptr) return {};
  if (old.kind == Kind::kZero && (keep_place || old.offset == 0)) return {};
  if (header_.version == 2) return replace(number, old, Cluster{});
  const bool keep = keep_place && old.kind == Kind::kData;
  return replace(number, old, Cluster::zero(keep ? old.offset : 0));
}

std::error_code Image::write_zeroes(uint64_t offset_bytes, uint64_t length_bytes, bool may_unmap) {
  const bool by_cluster = header_.version == 3 || backing_ == nullptr;
  while (length_bytes > 0) {
    const uint64_t within = offset_bytes % header_.cluster_bytes();
    const uint64_t step = std::min(length_bytes, header_.cluster_bytes() - within);
    const bool whole =
        step == header_.cluster_bytes() || (within == 0 && offset_bytes + step == size_bytes());
    const bool keep_place = !may_unmap && header_.version == 3;
    const auto error = whole && by_cluster
                           ? zero_cluster(header_.cluster_of(offset_bytes), keep_place)
                           : write_zero_bytes(offset_bytes, step);
    if (error) return error;
    offset_bytes += step;
    length_bytes -= step;
  }
  return flush_if_full();
}

std::error_code Image::write_zero_bytes(uint64_t offset, uint64_t length) {
  std::vector<std::byte> zeroes(length);
  const iovec buffer{zeroes.data(), zeroes.size()};
  return write_cluster_part(offset, length, std::span(&buffer, 1));
}

}  // namespace vmm::backend::qcow2
