// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/session.hpp"

#include <linux/virtio_config.h>

#include <utility>

#include "virtio/queue/ring_abi.hpp"

namespace vmm::virtio {
namespace {

constexpr uint64_t kRingFeatures = 1ULL << VIRTIO_F_VERSION_1 |
                                   1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                                   1ULL << VIRTIO_RING_F_EVENT_IDX;

constexpr uint32_t kDriverStatusBits = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                                       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
                                       VIRTIO_CONFIG_S_FAILED;

uint64_t with_low(uint64_t old, uint32_t value) { return (old & ~0xffffffffULL) | value; }
uint64_t with_high(uint64_t old, uint32_t value) {
  return (old & 0xffffffffULL) | uint64_t{value} << 32;
}

// There are at most 64 features so far.
uint32_t word_of(uint64_t features, uint32_t word) {
  if (word > 1) return 0;
  return static_cast<uint32_t>(features >> (32 * word));
}

uint64_t offered(const Device& device, Rings rings) {
  const uint64_t packed = rings == Rings::kPacked ? 1ULL << VIRTIO_F_RING_PACKED : 0;
  return device.features() | kRingFeatures | packed;
}

}  // namespace

Session::Session(Device& device, memory::GuestMemory& memory, Interrupt& interrupt, Rings rings,
                 Backlog::Leave leave)
    : device_(device),
      memory_(memory),
      interrupt_(interrupt),
      offered_features_(offered(device, rings)),
      backlog_(
          static_cast<uint16_t>(device.queue_max_sizes().size()),
          [this](uint16_t index) { device_.catch_up(index); }, std::move(leave)) {
  for (uint32_t i = 0; i < device.queue_max_sizes().size(); ++i) queues_.push_back(fresh_setup(i));
}

Session::~Session() { device_.reset(); }

Session::QueueSetup Session::fresh_setup(uint32_t index) const {
  QueueSetup setup;
  setup.state.size = queue_max_size(index);
  return setup;
}

uint32_t Session::offered_features(uint32_t word) const { return word_of(offered_features_, word); }

uint32_t Session::accepted_features(uint32_t word) const { return word_of(driver_features_, word); }

void Session::accept_features(uint32_t word, uint32_t value) {
  if (status_ & VIRTIO_CONFIG_S_FEATURES_OK) return;  // negotiation is over (2.2.1)
  switch (word) {
    case 0:
      driver_features_ = with_low(driver_features_, value);
      return;
    case 1:
      driver_features_ = with_high(driver_features_, value);
      return;
    default:
      unknown_features_ = unknown_features_ || value != 0;
  }
}

bool Session::features_acceptable() const {
  return !unknown_features_ && (driver_features_ & ~offered_features_) == 0 &&
         has_feature(VIRTIO_F_VERSION_1);
}

bool Session::write_status(uint32_t value) {
  if (value == 0) {
    reset();
    return true;
  }
  const uint32_t current = status_;
  uint32_t added = value & kDriverStatusBits & ~current;  // only a reset clears bits (2.1.1)
  constexpr uint32_t kFound = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
  const bool found = ((current | added) & kFound) == kFound;
  if (!found || !features_acceptable()) added &= ~uint32_t{VIRTIO_CONFIG_S_FEATURES_OK};
  // A driver that continues although FEATURES_OK is clear gets no device.
  const bool usable = ((current | added) & VIRTIO_CONFIG_S_FEATURES_OK) &&
                      !(current & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET));
  if (!usable) added &= ~uint32_t{VIRTIO_CONFIG_S_DRIVER_OK};
  status_.fetch_or(added);
  if (added & VIRTIO_CONFIG_S_DRIVER_OK) activate();
  return false;
}

void Session::activate() {
  Activation activation{driver_features_, {}, &interrupt_, &backlog_};
  for (uint32_t index = 0; index < queues_.size(); ++index) {
    std::optional<Queue>& slot = activation.queues.emplace_back();
    if (!queues_[index].ready) continue;
    auto created = create_queue(index);
    if (Queue* queue = std::get_if<Queue>(&created)) slot = std::move(*queue);
  }
  device_.activate(std::move(activation));
}

void Session::reset() {
  device_.reset();  // from here on nothing calls note_fault()
  driver_features_ = 0;
  unknown_features_ = false;
  for (uint32_t i = 0; i < queues_.size(); ++i) queues_[i] = fresh_setup(i);
  fault_ = 0;
  status_ = 0;
}

uint16_t Session::queue_max_size(uint32_t index) const { return device_.queue_max_sizes()[index]; }

memory::GuestAddress& Session::address_of(QueueState& state, QueuePart part) {
  if (part == QueuePart::kDescriptors) return state.descriptors;
  return part == QueuePart::kAvailable ? state.available : state.used;
}

uint64_t Session::queue_address(uint32_t index, QueuePart part) const {
  QueueState state = queues_[index].state;
  return address_of(state, part).value;
}

void Session::set_queue_size(uint32_t index, uint32_t size) {
  QueueSetup& setup = queues_[index];
  if (setup.ready) return;
  // A size that does not fit counts as zero, which enable_queue() refuses.
  setup.state.size = size > 0xffff ? 0 : static_cast<uint16_t>(size);
}

void Session::set_queue_address(uint32_t index, QueuePart part, Half half, uint32_t value) {
  QueueSetup& setup = queues_[index];
  if (setup.ready) return;
  memory::GuestAddress& address = address_of(setup.state, part);
  address.value =
      half == Half::kLow ? with_low(address.value, value) : with_high(address.value, value);
}

bool Session::setup_allowed(const QueueSetup& setup) const {
  const uint32_t status = status_;
  if (!(status & VIRTIO_CONFIG_S_FEATURES_OK) || (status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
    return false;
  }
  return !(status & VIRTIO_CONFIG_S_DRIVER_OK) || setup.was_reset;  // 3.1.1, step 7; 2.6.1
}

std::variant<Queue, Fault> Session::create_queue(uint32_t index) const {
  return Queue::create(memory_, queues_[index].state, queue_max_size(index));
}

void Session::enable_queue(uint32_t index) {
  QueueSetup& setup = queues_[index];
  if (setup.ready || !setup_allowed(setup)) return;
  setup.state.packed = has_feature(VIRTIO_F_RING_PACKED);
  setup.state.indirect = has_feature(VIRTIO_RING_F_INDIRECT_DESC);
  setup.state.event_index = has_feature(VIRTIO_RING_F_EVENT_IDX);
  auto created = create_queue(index);
  const auto number = static_cast<uint16_t>(index);
  if (const Fault* fault = std::get_if<Fault>(&created)) {
    interrupt_.needs_reset(number, *fault);
    return;
  }
  setup.ready = true;
  if (!(status_ & VIRTIO_CONFIG_S_DRIVER_OK)) return;
  setup.was_reset = false;
  device_.start_queue(number, std::move(std::get<Queue>(created)));
}

void Session::disable_queue(uint32_t index) {
  QueueSetup& setup = queues_[index];
  if (std::exchange(setup.ready, false)) device_.stop_queue(static_cast<uint16_t>(index));
}

void Session::reset_queue(uint32_t index) {
  if (!has_feature(VIRTIO_F_RING_RESET) || !(status_ & VIRTIO_CONFIG_S_DRIVER_OK)) return;
  disable_queue(index);
  queues_[index] = fresh_setup(index);
  queues_[index].was_reset = true;
}

void Session::notify(uint32_t index) {
  if (has_queue(index)) device_.notify(static_cast<uint16_t>(index));
}

bool Session::note_fault(uint16_t index, Fault fault) {
  uint32_t none = 0;
  const uint32_t code = 1U + static_cast<uint32_t>(fault) + (uint32_t{index} << 16);
  fault_.compare_exchange_strong(none, code);  // the first one is the cause
  const uint32_t before = status_.fetch_or(VIRTIO_CONFIG_S_NEEDS_RESET);
  return (before & VIRTIO_CONFIG_S_DRIVER_OK) != 0;  // 2.1.2
}

void Session::checkpoint() {
  kept_ = {driver_features_, unknown_features_, queues_, status_, fault_};
}

void Session::rewind() {
  driver_features_ = kept_.driver_features;
  unknown_features_ = kept_.unknown_features;
  queues_ = kept_.queues;
  status_ = kept_.status;
  fault_ = kept_.fault;
}

std::optional<std::string> Session::fault() const {
  const uint32_t code = fault_;
  if (code == 0) return std::nullopt;
  const auto fault = static_cast<Fault>((code & 0xffff) - 1);
  return "queue " + std::to_string(code >> 16) + ": " + std::string(describe(fault));
}

}  // namespace vmm::virtio
