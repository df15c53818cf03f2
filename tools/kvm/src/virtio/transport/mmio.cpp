// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/transport/mmio.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "virtio/queue/ring_abi.hpp"

namespace vmm::virtio {
namespace {

// Not in the UAPI header: values of 4.2.2.
constexpr uint32_t kMagic = 0x74726976;  // "virt"
constexpr uint32_t kModernVersion = 2;
constexpr uint32_t kVendor = 0x4d564b54;  // "TKVM"

constexpr uint64_t kTransportFeatures = 1ULL << VIRTIO_F_VERSION_1 |
                                        1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                                        1ULL << VIRTIO_RING_F_EVENT_IDX;

constexpr uint32_t kDriverStatusBits = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                                       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
                                       VIRTIO_CONFIG_S_FAILED;

// "All register values are organized as Little Endian" and 32 bits wide (4.2.2.2).
bool is_register_access(uint64_t offset, size_t width) {
  return width == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0;
}

uint64_t with_low(uint64_t old, uint32_t value) { return (old & ~0xffffffffULL) | value; }
uint64_t with_high(uint64_t old, uint32_t value) {
  return (old & 0xffffffffULL) | uint64_t{value} << 32;
}

// Selector 0 is the low half, 1 the high half; there are no more features than 64 yet.
uint32_t feature_word(uint64_t features, uint32_t select) {
  if (select > 1) return 0;
  return static_cast<uint32_t>(features >> (32 * select));
}

}  // namespace

MmioTransport::MmioTransport(virtio::Device& device, memory::GuestMemory& memory,
                             base::InterruptLine& line)
    : device_(device),
      memory_(memory),
      line_(line),
      offered_features_(device.features() | kTransportFeatures),
      queues_(device.queue_max_sizes().size()) {}

MmioTransport::~MmioTransport() { device_.reset(); }

void MmioTransport::read(uint64_t offset, std::span<std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    device_.read_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  if (!is_register_access(offset, data.size())) {
    std::ranges::fill(data, std::byte{0xff});
    return;
  }
  const uint32_t value = read_register(offset);
  std::memcpy(data.data(), &value, sizeof value);
}

void MmioTransport::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset >= VIRTIO_MMIO_CONFIG) {
    device_.write_config(offset - VIRTIO_MMIO_CONFIG, data);
    return;
  }
  if (!is_register_access(offset, data.size())) return;
  uint32_t value;
  std::memcpy(&value, data.data(), sizeof value);
  write_register(offset, value);
}

uint32_t MmioTransport::read_register(uint64_t offset) const {
  // Read in every interrupt: not behind a mutex that another vCPU may hold for a whole reset.
  if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) return interrupt_status_;
  if (offset == VIRTIO_MMIO_STATUS) return status_;

  const std::lock_guard lock(mutex_);
  const bool queue_known = queue_select_ < queues_.size();
  switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
      return kMagic;
    case VIRTIO_MMIO_VERSION:
      return kModernVersion;
    case VIRTIO_MMIO_DEVICE_ID:
      return device_.type();
    case VIRTIO_MMIO_VENDOR_ID:
      return kVendor;
    case VIRTIO_MMIO_DEVICE_FEATURES:
      return feature_word(offered_features_, device_features_select_);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
      return queue_known ? device_.queue_max_sizes()[queue_select_] : 0;
    case VIRTIO_MMIO_QUEUE_READY:
      return queue_known && queues_[queue_select_].ready ? 1 : 0;
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
      return 0xffffffff;  // no such region (4.2.2.1)
    case VIRTIO_MMIO_CONFIG_GENERATION:
      return device_.config_generation();
    default:
      return 0;  // write-only, legacy or unknown
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  // Both are on the hot path and touch nothing that the mutex guards.
  if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
    if (value < queues_.size()) device_.notify(static_cast<uint16_t>(value));
    return;
  }
  if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
    interrupt_status_.fetch_and(~value);
    return;
  }
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
      device_features_select_ = value;
      return;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
      driver_features_select_ = value;
      return;
    case VIRTIO_MMIO_DRIVER_FEATURES:
      write_driver_features(value);
      return;
    case VIRTIO_MMIO_QUEUE_SEL:
      queue_select_ = value;
      return;
    case VIRTIO_MMIO_STATUS:
      write_status(value);
      return;
    default:
      write_queue_register(offset, value);
  }
}

void MmioTransport::write_driver_features(uint32_t value) {
  if (status_ & VIRTIO_CONFIG_S_FEATURES_OK) return;  // settled (2.2.1)
  switch (driver_features_select_) {
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

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  if (queue_select_ >= queues_.size()) return;
  QueueSetup& setup = queues_[queue_select_];
  if (offset == VIRTIO_MMIO_QUEUE_READY) {
    write_queue_ready(setup, value);
    return;
  }
  if (setup.ready) return;  // the driver must stop the queue first (4.2.2.2)
  QueueState& state = setup.state;
  switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
      // Too large for a size is as wrong as zero; QueueReady says so.
      state.size = value > 0xffff ? 0 : static_cast<uint16_t>(value);
      return;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
      state.descriptors.value = with_low(state.descriptors.value, value);
      return;
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
      state.descriptors.value = with_high(state.descriptors.value, value);
      return;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
      state.available.value = with_low(state.available.value, value);
      return;
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
      state.available.value = with_high(state.available.value, value);
      return;
    case VIRTIO_MMIO_QUEUE_USED_LOW:
      state.used.value = with_low(state.used.value, value);
      return;
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
      state.used.value = with_high(state.used.value, value);
      return;
    default:
      return;  // read-only, legacy or unknown
  }
}

// Queues are set up between FEATURES_OK and DRIVER_OK (3.1.1, step 7).
bool MmioTransport::queue_setup_allowed() const {
  const uint32_t status = status_;
  return (status & VIRTIO_CONFIG_S_FEATURES_OK) && !(status & VIRTIO_CONFIG_S_DRIVER_OK) &&
         !(status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void MmioTransport::write_queue_ready(QueueSetup& setup, uint32_t value) {
  const auto index = static_cast<uint16_t>(queue_select_);
  if (value == 0) {
    if (std::exchange(setup.ready, false)) device_.stop_queue(index);
    return;
  }
  if (value != 1 || setup.ready || !queue_setup_allowed()) return;
  setup.state.indirect = driver_features_ & 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
  setup.state.event_index = driver_features_ & 1ULL << VIRTIO_RING_F_EVENT_IDX;
  const auto created = Queue::create(memory_, setup.state, device_.queue_max_sizes()[index]);
  if (const Fault* fault = std::get_if<Fault>(&created)) {
    needs_reset(index, *fault);
    return;
  }
  setup.ready = true;
}

bool MmioTransport::features_acceptable() const {
  return !unknown_features_ && (driver_features_ & ~offered_features_) == 0 &&
         (driver_features_ & 1ULL << VIRTIO_F_VERSION_1);
}

void MmioTransport::write_status(uint32_t value) {
  if (value == 0) {
    reset();
    return;
  }
  const uint32_t current = status_;
  uint32_t added = value & kDriverStatusBits & ~current;  // only a reset clears bits (2.1.1)
  constexpr uint32_t kFound = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
  const bool found = ((current | added) & kFound) == kFound;
  if (!found || !features_acceptable()) added &= ~uint32_t{VIRTIO_CONFIG_S_FEATURES_OK};
  // A driver that goes on without reading FEATURES_OK back gets no device.
  const bool usable = ((current | added) & VIRTIO_CONFIG_S_FEATURES_OK) &&
                      !(current & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET));
  if (!usable) added &= ~uint32_t{VIRTIO_CONFIG_S_DRIVER_OK};
  status_.fetch_or(added);
  if (added & VIRTIO_CONFIG_S_DRIVER_OK) activate();
}

void MmioTransport::activate() {
  Activation activation{driver_features_, {}, this};
  for (size_t index = 0; index < queues_.size(); ++index) {
    std::optional<Queue>& slot = activation.queues.emplace_back();
    if (!queues_[index].ready) continue;
    auto created = Queue::create(memory_, queues_[index].state, device_.queue_max_sizes()[index]);
    if (Queue* queue = std::get_if<Queue>(&created)) slot = std::move(*queue);
  }
  device_.activate(std::move(activation));
}

void MmioTransport::reset() {
  device_.reset();  // from here on nothing calls our Interrupt side
  driver_features_ = 0;
  unknown_features_ = false;
  device_features_select_ = 0;
  driver_features_select_ = 0;
  queue_select_ = 0;
  std::ranges::fill(queues_, QueueSetup{});
  interrupt_status_ = 0;
  fault_ = 0;
  status_ = 0;
}

void MmioTransport::queue_used(uint16_t) { raise(VIRTIO_MMIO_INT_VRING); }

void MmioTransport::config_changed() { raise(VIRTIO_MMIO_INT_CONFIG); }

void MmioTransport::needs_reset(uint16_t index, Fault fault) {
  uint32_t none = 0;
  const uint32_t code = 1U + static_cast<uint32_t>(fault) + (uint32_t{index} << 16);
  fault_.compare_exchange_strong(none, code);  // the first one is the cause
  const uint32_t before = status_.fetch_or(VIRTIO_CONFIG_S_NEEDS_RESET);
  // The driver hears of it if it is there to hear (2.1.2).
  if (before & VIRTIO_CONFIG_S_DRIVER_OK) config_changed();
}

void MmioTransport::raise(uint32_t reason) {
  // Status first, then the edge: the handler finds out why. An edge for every event, even if an
  // earlier one has not been acknowledged: the line may have been masked when that one came.
  interrupt_status_.fetch_or(reason);
  line_.raise();
}

std::optional<std::string> MmioTransport::fault() const {
  const uint32_t code = fault_;
  if (code == 0) return std::nullopt;
  const auto fault = static_cast<Fault>((code & 0xffff) - 1);
  return "queue " + std::to_string(code >> 16) + ": " + std::string(describe(fault));
}

}  // namespace vmm::virtio
