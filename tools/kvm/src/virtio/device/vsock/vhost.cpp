// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/vsock/vhost.hpp"

#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <sys/ioctl.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <optional>

#include "backend/vhost_abi.hpp"
#include "base/error.hpp"
#include "virtio/device/vhost_ring.hpp"

namespace vmm::virtio {
namespace {

// vhost serves receive and transmit. The event queue is never used: it is for migration to another
// host.
constexpr std::array<uint16_t, 3> kQueueMaxSizes = {128, 128, 16};
constexpr uint16_t kServedQueues = 2;

constexpr uint64_t kPassedOn = 1ULL << VIRTIO_VSOCK_F_SEQPACKET;

void take_cid(int fd, uint64_t cid) {
  if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) return;
  if (errno != EADDRINUSE) throw base::SystemError("VHOST_VSOCK_SET_GUEST_CID", errno);
  throw base::ConfigError("vsock cid " + std::to_string(cid) +
                          ": another machine of this host has it; use another");
}

}  // namespace

VhostVsock::VhostVsock(base::EventLoop& loop, const memory::GuestMemory& memory, uint64_t guest_cid,
                       const std::string& path)
    : guest_cid_(guest_cid),
      vhost_(loop, memory, path, kServedQueues,
             {[this](uint16_t index) { hear_used(index); },
              [this](uint16_t index) { hear_broken(index); }}) {
  take_cid(vhost_.fd(), guest_cid);
}

VhostVsock::~VhostVsock() { reset(); }

uint32_t VhostVsock::type() const { return VIRTIO_ID_VSOCK; }

uint64_t VhostVsock::features() const { return vhost_.features() & kPassedOn; }

std::span<const uint16_t> VhostVsock::queue_max_sizes() const { return kQueueMaxSizes; }

void VhostVsock::read_config(uint64_t offset, std::span<std::byte> data) const {
  const virtio_vsock_config config{guest_cid_};
  read_config_bytes(std::as_bytes(std::span(&config, 1)), offset, data);
}

void VhostVsock::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  interrupt_ = activation.interrupt;
  for (uint16_t index = 0; index < kServedQueues; ++index) {
    if (!activation.queues[index]) return;  // both queues are required
  }
  if (!start(activation)) {
    fail(0);
    return;
  }
  // The driver may have filled them before vhost could be notified.
  for (uint16_t index = 0; index < kServedQueues; ++index) vhost_.kick(index);
}

bool VhostVsock::start(const Activation& activation) {
  if (!vhost_.set_features(activation.features)) return false;
  for (uint16_t index = 0; index < kServedQueues; ++index) {
    if (!vhost_.set_ring(index, vhost_ring(activation.queues[index]->state()))) return false;
  }
  running_ = set_running(true);
  return running_;
}

bool VhostVsock::set_running(bool running) {
  const int value = running ? 1 : 0;
  return ioctl(vhost_.fd(), VHOST_VSOCK_SET_RUNNING, &value) == 0;
}

void VhostVsock::notify(uint16_t index) {
  if (index < kServedQueues) vhost_.kick(index);
}

int VhostVsock::doorbell(uint16_t index) const {
  return index < kServedQueues ? vhost_.kick_fd(index) : kNoDoorbell;
}

base::EventSource* VhostVsock::used_source(uint16_t index) {
  return index < kServedQueues ? &vhost_.used(index) : nullptr;
}

// vhost can only stop both, so stopping one queue stops the other too.
void VhostVsock::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (index < kServedQueues) stop();
}

void VhostVsock::reset() {
  const std::lock_guard lock(mutex_);
  stop();
  interrupt_ = nullptr;
}

void VhostVsock::stop() {
  if (!running_) return;
  // Waits for requests in progress; it can't fail, as it has no other arguments.
  const bool stopped = set_running(false);
  assert(stopped);
  static_cast<void>(stopped);
  running_ = false;
}

void VhostVsock::hear_used(uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (running_) interrupt_->queue_used(index);
}

void VhostVsock::hear_broken(uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (running_) fail(index);
}

void VhostVsock::fail(uint16_t index) {
  stop();
  interrupt_->needs_reset(index, Fault::kRefusedByHost);
}

}  // namespace vmm::virtio
