// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/console/console.hpp"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "virtio/device/iovec_cursor.hpp"

namespace vmm::virtio {
namespace {

constexpr uint16_t kControlReceiveQueue = 2;
constexpr uint16_t kControlTransmitQueue = 3;

// Linux posts a page for every receive slot when it starts, so these are short; its splice() sends
// chains of up to 32 pages, so the transmit queues are not.
constexpr std::array<uint16_t, 6> kQueueMaxSizes = {32, 64, 16, 16, 32, 64};

// The limit of answers that wait for buffers; then the driver's messages wait instead.
constexpr size_t kMaxPendingControl = 32;

// All events, edge-triggered: the port remembers readiness.
constexpr uint32_t kSocketEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

struct Size {
  uint16_t columns;
  uint16_t rows;
};

}  // namespace

Console::Console(base::EventLoop& loop, Ports ports)
    : loop_(loop),
      ports_{ConsolePort(kConsolePort, std::move(ports.console)),
             ConsolePort(kAgentPort, std::move(ports.agent))} {
  for (uint32_t port = 0; port < kPortCount; ++port) {
    loop_.add(ports_[port].fd(), kSocketEvents,
              [this, port](uint32_t events) { on_socket(port, events); });
  }
}

Console::~Console() {
  for (const ConsolePort& port : ports_) loop_.remove(port.fd());
}

uint32_t Console::type() const { return VIRTIO_ID_CONSOLE; }

uint64_t Console::features() const {
  return 1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_MULTIPORT |
         1ULL << VIRTIO_F_IN_ORDER;
}

std::span<const uint16_t> Console::queue_max_sizes() const { return kQueueMaxSizes; }

void Console::read_config(uint64_t offset, std::span<std::byte> data) const {
  const std::lock_guard lock(mutex_);
  virtio_console_config config{};
  config.cols = columns_;
  config.rows = rows_;
  config.max_nr_ports = kPortCount;
  read_config_bytes(std::as_bytes(std::span(&config, 1)), offset, data);
}

uint32_t Console::config_generation() const {
  const std::lock_guard lock(mutex_);
  return config_generation_;
}

void Console::activate(Activation activation) {
  const std::lock_guard lock(mutex_);
  state_.queues.start(std::move(activation));
  state_.queues.begin_turn();
  // Without the control queues there is one port and it is always open (5.3.5).
  if (!multiport()) ports_[kConsolePort].set_guest_open(true);
  serve_control();
  for (uint32_t port = 0; port < kPortCount; ++port) pump_port(port);
}

void Console::notify(uint16_t index) {
  const std::lock_guard lock(mutex_);
  state_.queues.begin_turn();
  serve(index);
}

void Console::stop_queue(uint16_t index) {
  const std::lock_guard lock(mutex_);
  state_.queues.stop(index);
}

void Console::reset() {
  const std::lock_guard lock(mutex_);
  state_.queues.stop();
  state_.control_out.clear();
  state_.console_announced = false;
  for (ConsolePort& port : ports_) port.reset();
}

void Console::checkpoint() {
  kept_ = state_;
  for (ConsolePort& port : ports_) port.checkpoint();
}

void Console::rewind() {
  state_ = kept_;
  for (ConsolePort& port : ports_) port.rewind();
}

bool Console::output_unsent() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(ports_.begin(), ports_.end(), [this](const ConsolePort& port) {
    return port.waits_for_host(state_.queues);
  });
}

void Console::resize(uint16_t columns, uint16_t rows) {
  const std::lock_guard lock(mutex_);
  if (columns == columns_ && rows == rows_) return;
  columns_ = columns;
  rows_ = rows;
  ++config_generation_;
  if (state_.queues.features() & 1ULL << VIRTIO_CONSOLE_F_SIZE) state_.queues.config_changed();
  state_.queues.begin_turn();
  if (state_.console_announced) send_size();
}

bool Console::multiport() const {
  return (state_.queues.features() & 1ULL << VIRTIO_CONSOLE_F_MULTIPORT) != 0;
}

void Console::on_socket(uint32_t port, uint32_t events) {
  const std::lock_guard lock(mutex_);
  state_.queues.begin_turn();
  ports_[port].on_events(events);
  pump_port(port);
}

void Console::serve(uint16_t index) {
  if (index == kControlReceiveQueue || index == kControlTransmitQueue) {
    serve_control();
    return;
  }
  for (uint32_t port = 0; port < kPortCount; ++port) {
    if (index == ports_[port].receive_queue() || index == ports_[port].transmit_queue()) {
      pump_port(port);
    }
  }
}

void Console::pump_port(uint32_t number) {
  if (number != kConsolePort && !multiport()) return;
  ConsolePort& port = ports_[number];
  port.transmit(state_.queues);
  const bool hung_up = port.receive(state_.queues);
  if (hung_up && multiport()) send_control(number, VIRTIO_CONSOLE_PORT_OPEN, 0);
}

void Console::serve_control() {
  if (!multiport()) return;
  flush_control();
  while (state_.control_out.size() < kMaxPendingControl) {
    auto chain = state_.queues.pop(kControlTransmitQueue);
    if (!chain) break;
    const auto message = object_from<virtio_console_control>(chain->readable(), 0);
    state_.queues.complete(kControlTransmitQueue, std::move(*chain), 0);
    if (message) handle_control(*message);
  }
}

void Console::handle_control(const virtio_console_control& message) {
  if (message.event == VIRTIO_CONSOLE_DEVICE_READY) {
    if (message.value != 1) return;  // the driver could not start
    for (uint32_t port = 0; port < kPortCount; ++port) {
      send_control(port, VIRTIO_CONSOLE_PORT_ADD, 1);
    }
    return;
  }
  if (message.id >= kPortCount) return;
  if (message.event == VIRTIO_CONSOLE_PORT_READY && message.value == 1) announce(message.id);
  if (message.event == VIRTIO_CONSOLE_PORT_OPEN) {
    ports_[message.id].set_guest_open(message.value != 0);
    pump_port(message.id);
  }
}

void Console::announce(uint32_t port) {
  if (port == kConsolePort) {
    send_control(port, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
    state_.console_announced = true;
    if (columns_ != 0 && rows_ != 0) send_size();
  } else {
    send_control(port, VIRTIO_CONSOLE_PORT_NAME, 1, kAgentPortName);
  }
  send_control(port, VIRTIO_CONSOLE_PORT_OPEN, ports_[port].host_open() ? 1 : 0);
}

void Console::send_size() {
  const Size size{columns_, rows_};
  char tail[sizeof size];
  std::memcpy(tail, &size, sizeof size);
  send_control(kConsolePort, VIRTIO_CONSOLE_RESIZE, 0, {tail, sizeof tail});
}

void Console::send_control(uint32_t port, uint16_t event, uint16_t value, std::string_view tail) {
  const virtio_console_control header{port, event, value};
  const auto head = std::as_bytes(std::span(&header, 1));
  const auto rest = std::as_bytes(std::span(tail));
  std::vector<std::byte> message(head.begin(), head.end());
  message.insert(message.end(), rest.begin(), rest.end());
  state_.control_out.push_back(std::move(message));
  flush_control();
}

void Console::flush_control() {
  while (!state_.control_out.empty()) {
    auto chain = state_.queues.pop(kControlReceiveQueue);
    if (!chain) break;
    const auto& message = state_.control_out.front();
    if (chain->writable_bytes() < message.size()) {
      state_.queues.fail(kControlReceiveQueue, Fault::kMalformedRequest);
      return;
    }
    copy_to(chain->writable(), 0, message);
    state_.queues.complete(kControlReceiveQueue, std::move(*chain),
                           static_cast<uint32_t>(message.size()));
    state_.control_out.pop_front();
  }
}

}  // namespace vmm::virtio
