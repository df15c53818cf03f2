// SPDX-License-Identifier: GPL-2.0-only
//
// A 9P2000.L server for one share and one client, the guest's kernel. It gets a request and returns
// the answer; it knows no virtqueue. virtio::Ninep owns it and calls it under its mutex, one
// request at a time, so a Tflush always comes when its request is done. What may take long is
// handed out with the answer. Requests are hostile: every field is checked, every failure is an
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
  std::span<const std::byte> message;  // our own copy; of a Twrite the header alone
  uint32_t total_bytes;                // of the message with its data
  std::span<const iovec> data;         // of a Twrite
  uint32_t answer_bytes;               // how long the answer may be, at least kErrorBytes
  std::span<const iovec> answer_data;  // where an Rread's data goes, after its header
};

struct Answer {
  std::vector<std::byte> message;  // of an Rread the header alone
  uint32_t data_bytes;             // how much of answer_data was filled
  std::optional<Sync> sync{};      // to be carried out before the answer is given
};

// What is answered if that fails.
Answer failed_sync(const Sync& sync, Errno error);

class Server {
 public:
  explicit Server(Share share) : share_(std::move(share)) {}

  Answer serve(const Request& request);

  // The guest's session is over: closes all its files.
  void reset();

  size_t fid_count() const { return fids_.size(); }

 private:
  Share share_;
  FidTable fids_;
  QidMaker qids_;
  uint32_t message_bytes_ = 0;  // as negotiated; 0: not yet
};

}  // namespace vmm::ninep
