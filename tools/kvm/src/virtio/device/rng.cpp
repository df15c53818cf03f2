// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/rng.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/error.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kRequestQueue = 0;
constexpr std::array<uint16_t, 1> kQueueMaxSizes = {8};

void fill_random(std::byte* into, size_t length) {
  while (length > 0) {
    // Large reads stop early at a signal, which a vCPU thread may get at any time.
    const ssize_t got = getrandom(into, length, 0);
    if (got < 0 && errno == EINTR) continue;
    const auto step = static_cast<size_t>(base::check(static_cast<int>(got), "getrandom"));
    into += step;
    length -= step;
  }
}

uint32_t fill_request(const Chain& chain) {
  uint32_t left = std::min(chain.writable_bytes(), Rng::kMaxRequestBytes);
  const uint32_t total = left;
  for (const iovec& buffer : chain.writable()) {
    const auto step = static_cast<uint32_t>(std::min<size_t>(buffer.iov_len, left));
    fill_random(static_cast<std::byte*>(buffer.iov_base), step);
    left -= step;
  }
  return total;
}

}  // namespace

uint32_t Rng::type() const { return VIRTIO_ID_RNG; }

uint64_t Rng::features() const { return 1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_RING_RESET; }

std::span<const uint16_t> Rng::queue_max_sizes() const { return kQueueMaxSizes; }

void Rng::read_config(uint64_t offset, std::span<std::byte> data) const {
  read_config_bytes({}, offset, data);
}

void Rng::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  serve();
}

void Rng::notify(uint16_t) {
  const std::lock_guard lock(mutex_);
  serve();
}

void Rng::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
}

void Rng::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
}

void Rng::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  serve();
}

void Rng::serve() {
  queues_.begin_turn();
  while (auto chain = queues_.pop(kRequestQueue)) {
    const uint32_t written = fill_request(*chain);
    queues_.complete(kRequestQueue, std::move(*chain), written);
  }
}

}  // namespace vmm::virtio
