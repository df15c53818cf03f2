// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/ninep.hpp"

#include <linux/virtio_9p.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "ninep/protocol.hpp"
#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kRequestQueue = 0;
constexpr std::array<uint16_t, 1> kQueueMaxSizes = {128};

std::vector<std::byte> make_config(const std::string& tag) {
  assert(!tag.empty() && tag.size() <= 0xffff);
  const auto length = static_cast<uint16_t>(tag.size());
  static_assert(offsetof(virtio_9p_config, tag) == sizeof length);
  std::vector<std::byte> config(sizeof length + tag.size());
  std::memcpy(config.data(), &length, sizeof length);
  std::memcpy(config.data() + sizeof length, tag.data(), tag.size());
  return config;
}

bool is_write(std::span<const std::byte> header) {
  constexpr size_t kTypeOffset = sizeof(uint32_t);
  return header.size() > kTypeOffset &&
         header[kTypeOffset] == static_cast<std::byte>(ninep::Type::kWrite);
}

// Copies the message; of a write only the header, as its data stays in place.
std::vector<std::byte> copy_message(const Chain& chain) {
  std::vector<std::byte> message(
      std::min<size_t>(chain.readable_bytes(), ninep::kWriteHeaderBytes));
  copy_from(chain.readable(), 0, message);
  if (is_write(message)) return message;
  const size_t head = message.size();
  message.resize(std::min<size_t>(chain.readable_bytes(), ninep::kMaxControlBytes));
  copy_from(chain.readable(), head, std::span(message).subspan(head));
  return message;
}

}  // namespace

Ninep::Ninep(ninep::Share share, const std::string& tag, CarryOut carry_out)
    : config_(make_config(tag)), carry_out_(std::move(carry_out)), server_(std::move(share)) {}

uint32_t Ninep::type() const { return VIRTIO_ID_9P; }

uint64_t Ninep::features() const {
  return 1ULL << VIRTIO_9P_MOUNT_TAG | 1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_RING_RESET;
}

std::span<const uint16_t> Ninep::queue_max_sizes() const { return kQueueMaxSizes; }

void Ninep::read_config(uint64_t offset, std::span<std::byte> data) const {
  read_config_bytes(config_, offset, data);
}

void Ninep::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  serve();
}

void Ninep::notify(uint16_t) {
  const std::lock_guard lock(mutex_);
  serve();
}

void Ninep::catch_up(uint16_t) {
  std::unique_lock lock(mutex_);
  // Only this thread carries syncs out, so this one has not begun.
  if (waiting_) {
    const ninep::Sync sync = std::move(*waiting_->answer.sync);
    const uint64_t number = waiting_->number;
    lock.unlock();
    const ninep::Errno error = carry_out_(sync);
    lock.lock();
    // The queue may have been stopped meanwhile.
    if (waiting_ && waiting_->number == number) {
      Waiting done = *std::exchange(waiting_, std::nullopt);
      if (error) done.answer = ninep::failed_sync(sync, error);
      complete(std::move(done.chain), done.answer);
    }
  }
  serve();
}

void Ninep::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
  waiting_.reset();
}

void Ninep::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
  waiting_.reset();
  server_.reset();
}

void Ninep::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  serve();
}

void Ninep::serve() {
  queues_.begin_turn();
  while (!waiting_) {
    auto chain = queues_.pop(kRequestQueue);
    if (!chain) return;
    auto answer = serve_request(*chain);
    if (!answer) {
      queues_.fail(kRequestQueue, Fault::kMalformedRequest);
      return;
    }
    if (answer->sync) {
      waiting_.emplace(std::move(*chain), std::move(*answer), ++syncs_);
      queues_.serve_after(kRequestQueue, {});
    } else {
      complete(std::move(*chain), *answer);
    }
  }
}

std::optional<ninep::Answer> Ninep::serve_request(const Chain& chain) {
  if (chain.writable_bytes() < ninep::kErrorBytes) return std::nullopt;
  const std::vector<std::byte> message = copy_message(chain);
  const uint32_t all = chain.readable_bytes();
  const auto written_data = is_write(message)
                                ? sub_range(chain.readable(), ninep::kWriteHeaderBytes, all)
                                : std::vector<iovec>{};
  const auto read_data =
      sub_range(chain.writable(), ninep::kReadHeaderBytes, chain.writable_bytes());
  return server_.serve({message, all, written_data, chain.writable_bytes(), read_data});
}

void Ninep::complete(Chain&& chain, const ninep::Answer& answer) {
  copy_to(chain.writable(), 0, answer.message);
  const auto written = static_cast<uint32_t>(answer.message.size()) + answer.data_bytes;
  queues_.complete(kRequestQueue, std::move(chain), written);
}

}  // namespace vmm::virtio
