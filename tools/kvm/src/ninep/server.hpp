// SPDX-License-Identifier: GPL-2.0-only
//
// A 9P2000.L server for one share and one client, the guest's kernel. It gets a request and returns
// the answer, independent of virtqueues. virtio::Ninep owns it and calls it under its mutex, one
// request at a time, so a Tflush always comes when its request is done. Work that may take long is
// returned with the answer. Requests are hostile: every field is checked, every failure is an
// Rlerror, and limits bound what a session holds.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ninep/fid_table.hpp"
#include "ninep/protocol.hpp"
#include "ninep/qid.hpp"
#include "ninep/share.hpp"
#include "ninep/sync.hpp"

namespace vmm::ninep {

struct Request {
  std::span<const std::byte> message;  // a copy; for a Twrite only the header
  uint32_t total_bytes;                // the message with its data
  std::span<const iovec> data;         // Twrite only
  uint32_t answer_bytes;               // limit of the answer, at least kErrorBytes
  std::span<const iovec> answer_data;  // for an Rread's data, after the header
};

struct Answer {
  std::vector<std::byte> message;  // for an Rread only the header
  uint32_t data_bytes;             // bytes of answer_data that were filled
  std::optional<Sync> sync{};      // for the caller to do before it gives the answer
};

// The answer to give if `sync` fails.
Answer failed_sync(const Sync& sync, Errno error);

class Server {
 public:
  explicit Server(Share share) : share_(std::move(share)) {}

  Answer serve(const Request& request);

  // Ends the guest's session: closes all its files.
  void reset();

  size_t fid_count() const { return fids_.size(); }

 private:
  Share share_;
  FidTable fids_;
  QidMaker qids_;
  uint32_t message_bytes_ = 0;  // as negotiated; 0 before
};

}  // namespace vmm::ninep
