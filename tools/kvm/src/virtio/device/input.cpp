// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/input.hpp"

#include <linux/input.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kEventQueue = 0;
constexpr uint16_t kStatusQueue = 1;
constexpr std::array<uint16_t, 2> kQueueMaxSizes = {64, 64};

std::vector<uint16_t> keys_of(const std::map<uint16_t, uint32_t>& axes) {
  std::vector<uint16_t> codes;
  for (const auto& [code, most] : axes) codes.push_back(code);
  return codes;
}

}  // namespace

Input::Input(InputTraits traits) : traits_(std::move(traits)) {}

uint32_t Input::type() const { return VIRTIO_ID_INPUT; }

uint64_t Input::features() const { return 1ULL << VIRTIO_F_IN_ORDER | 1ULL << VIRTIO_F_RING_RESET; }

std::span<const uint16_t> Input::queue_max_sizes() const { return kQueueMaxSizes; }

void Input::read_config(uint64_t offset, std::span<std::byte> data) const {
  const std::lock_guard lock(mutex_);
  read_config_bytes(std::as_bytes(std::span(&config_, 1)), offset, data);
}

void Input::write_config(uint64_t offset, std::span<const std::byte> data) {
  const std::lock_guard lock(mutex_);
  // The driver writes two bytes, and reads the data that they select (5.8.5).
  static_assert(offsetof(virtio_input_config, select) == 0);
  static_assert(offsetof(virtio_input_config, subsel) == 1);
  for (size_t i = 0; i < data.size() && offset + i < 2; ++i) {
    const auto value = std::to_integer<uint8_t>(data[i]);
    (offset + i == 0 ? config_.select : config_.subsel) = value;
  }
  select();
}

void Input::select() {
  config_.size = 0;
  std::memset(&config_.u, 0, sizeof config_.u);
  switch (config_.select) {
    case VIRTIO_INPUT_CFG_ID_NAME:
      set_string(traits_.name);
      break;
    case VIRTIO_INPUT_CFG_ID_DEVIDS:
      config_.u.ids = {BUS_VIRTUAL, 0, traits_.product, 1};
      config_.size = sizeof config_.u.ids;
      break;
    case VIRTIO_INPUT_CFG_EV_BITS:
      set_event_bits();
      break;
    case VIRTIO_INPUT_CFG_ABS_INFO:
      set_axis();
      break;
    default:  // no data: size 0
      break;
  }
}

void Input::set_string(const std::string& text) {
  config_.size = static_cast<uint8_t>(std::min(text.size(), sizeof config_.u.string));
  std::memcpy(config_.u.string, text.data(), config_.size);
}

void Input::set_bits(std::span<const uint16_t> codes) {
  for (const uint16_t code : codes) {
    const size_t byte = code / 8U;
    if (byte >= sizeof config_.u.bitmap) continue;
    config_.u.bitmap[byte] |= static_cast<uint8_t>(1U << code % 8U);
    config_.size = std::max(config_.size, static_cast<uint8_t>(byte + 1));
  }
}

void Input::set_event_bits() {
  switch (config_.subsel) {
    case EV_KEY:
      set_bits(traits_.keys);
      break;
    case EV_REL:
      set_bits(traits_.relative);
      break;
    case EV_ABS:
      set_bits(keys_of(traits_.absolute));
      break;
    case EV_REP:
      config_.size = traits_.repeats ? 1 : 0;  // the type is supported; it has no codes
      break;
    default:
      break;
  }
}

void Input::set_axis() {
  const auto axis = traits_.absolute.find(config_.subsel);
  if (axis == traits_.absolute.end()) return;
  config_.u.abs = {0, axis->second, 0, 0, 0};
  config_.size = sizeof config_.u.abs;
}

void Input::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  queues_.start(std::move(activation));
  queues_.begin_turn();
  waiting_.clear();  // events from before the reset
  take_status();
}

void Input::notify(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.begin_turn();
  if (index == kEventQueue) send();
  if (index == kStatusQueue) take_status();
}

void Input::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  queues_.stop(index);
}

void Input::reset() {
  const std::lock_guard lock(mutex_);
  queues_.stop();
  waiting_.clear();
  config_ = {};
}

void Input::start_queue(uint16_t index, Queue queue) {
  const std::lock_guard lock(mutex_);
  queues_.start(index, std::move(queue));
  queues_.begin_turn();
  send();
  take_status();
}

void Input::report(std::span<const InputEvent> events) {
  const std::lock_guard lock(mutex_);
  queues_.begin_turn();
  // Take all of a report or nothing: half of one could leave keys down.
  if (!queues_.ready(kEventQueue) || waiting_.size() + events.size() + 1 > kMaxWaiting) return;
  for (const InputEvent& event : events) waiting_.push_back({event.type, event.code, event.value});
  waiting_.push_back({EV_SYN, SYN_REPORT, 0});
  send();
}

void Input::send() {
  std::vector<UsedChain> sent;
  while (!waiting_.empty()) {
    auto chain = queues_.pop(kEventQueue);
    if (!chain) break;
    const virtio_input_event& event = waiting_.front();
    if (chain->writable_bytes() < sizeof event) {
      queues_.fail(kEventQueue, Fault::kMalformedRequest);
      waiting_.clear();
      return;
    }
    copy_to(chain->writable(), 0, std::as_bytes(std::span(&event, 1)));
    sent.push_back({std::move(*chain), sizeof event});
    waiting_.pop_front();
  }
  // A faulty chain after good ones has stopped the queue.
  if (!sent.empty() && queues_.ready(kEventQueue)) queues_.complete(kEventQueue, std::move(sent));
}

void Input::take_status() {
  while (auto chain = queues_.pop(kStatusQueue)) {
    queues_.complete(kStatusQueue, std::move(*chain), 0);
  }
}

}  // namespace vmm::virtio
