// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/compressed.hpp"

#include <zlib.h>

namespace vmm::backend::qcow2 {

std::error_code inflate_cluster(std::span<const std::byte> compressed,
                                std::span<std::byte> cluster) {
  z_stream stream{};
  constexpr int kRawDeflate = -15;  // no zlib header, the largest window
  if (inflateInit2(&stream, kRawDeflate) != Z_OK) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(cluster.data());
  stream.avail_out = static_cast<uInt>(cluster.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = stream.avail_out == 0 && (result == Z_STREAM_END || result == Z_BUF_ERROR);
  inflateEnd(&stream);
  return whole ? std::error_code{} : std::make_error_code(std::errc::io_error);
}

}  // namespace vmm::backend::qcow2
