// SPDX-License-Identifier: GPL-2.0-only
//
// Needs a host with vhost; tests/boot tests the device on machines of a lab host, which has it.
#include <doctest/doctest.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "mock_driver.hpp"
#include "virtio/device/vsock/vhost.hpp"

namespace vmm::test {
namespace {

using namespace std::chrono_literals;
using virtio::Fault;
using virtio::VhostVsock;

constexpr uint16_t kReceive = 0, kTransmit = 1;
constexpr uint64_t kCid = 0x746b766d;  // unlikely to be another machine's
constexpr uint64_t kPlace = MockDriver::kBuffers;
constexpr uint32_t kBufferBytes = 4096;
constexpr uint32_t kGuestPort = 7;

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct Heard final : virtio::Interrupt {
  void queue_used(uint16_t index) override { used |= 1U << index; }
  void config_changed() override {}
  void needs_reset(uint16_t, Fault fault) override { broken = fault; }

  std::atomic<uint32_t> used = 0;
  std::atomic<std::optional<Fault>> broken;
};

// Calls the device directly instead of through a transport, as vhost needs the memory first.
struct Fixture {
  Fixture() {
    try {
      device = std::make_unique<VhostVsock>(loop, memory, kCid);
    } catch (const base::ConfigError& error) {
      MESSAGE("not tested here: " << std::string(error.what()));
    }
  }

  void start() {
    virtio::Activation activation{1ULL << VIRTIO_F_VERSION_1, {}, &heard, &backlog};
    for (uint16_t index = 0; index < 3; ++index) {
      const uint16_t size = device->queue_max_sizes()[index];
      rings[index] = std::make_unique<MockRing>(memory, MockDriver::ring_place(index), size);
      auto queue = virtio::Queue::create(memory, rings[index]->state(), size);
      activation.queues.emplace_back(std::move(std::get<virtio::Queue>(queue)));
    }
    device->activate(std::move(activation));
    add(kReceive, writable(kPlace + kBufferBytes, kBufferBytes));
  }

  void add(uint16_t index, const Buffer& buffer) {
    rings[index]->add({buffer});
    device->notify(index);
  }

  void ask_for(uint32_t host_port) {
    virtio_vsock_hdr header{};
    header.src_cid = kCid;
    header.dst_cid = VMADDR_CID_HOST;
    header.src_port = kGuestPort;
    header.dst_port = host_port;
    header.type = VIRTIO_VSOCK_TYPE_STREAM;
    header.op = VIRTIO_VSOCK_OP_REQUEST;
    header.buf_alloc = 65536;
    memory.write_object({kPlace}, header);
    add(kTransmit, readable(kPlace, sizeof header));
  }

  // The op of the device's next packet.
  std::optional<uint16_t> answer() {
    if (!eventually([&] { return rings[kReceive]->take_used().has_value(); })) return std::nullopt;
    const auto header = memory.read_object<virtio_vsock_hdr>({kPlace + kBufferBytes});
    return uint16_t{header->op};
  }

  base::EventLoop loop;
  memory::GuestMemory memory{MockDriver::kMemoryBytes};
  std::array<std::unique_ptr<MockRing>, 3> rings;
  Heard heard;
  virtio::Backlog backlog{3, [this](uint16_t index) { device->catch_up(index); }};
  std::unique_ptr<VhostVsock> device;  // null: not available here
};

// A listening socket of the host, and its port.
std::pair<base::UniqueFd, uint32_t> listening() {
  base::UniqueFd server(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = VMADDR_PORT_ANY;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  REQUIRE(bind(server.get(), any, length) == 0);
  REQUIRE(listen(server.get(), 4) == 0);
  REQUIRE(getsockname(server.get(), any, &length) == 0);
  return {std::move(server), address.svm_port};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the guest's vsock has its number") {
  if (!device) return;
  virtio_vsock_config config{};
  device->read_config(0, std::as_writable_bytes(std::span(&config, 1)));
  CHECK(uint64_t{config.guest_cid} == kCid);
  CHECK(device->type() == VIRTIO_ID_VSOCK);
}

TEST_CASE_FIXTURE(Fixture, "a guest reaches a socket of the host's, and hears when there is none") {
  if (!device) return;
  const auto [server, port] = listening();
  start();
  ask_for(port);
  CHECK(answer() == VIRTIO_VSOCK_OP_RESPONSE);
  CHECK(eventually([&] { return (heard.used & 1U << kReceive) != 0; }));

  device->reset();
  start();
  ask_for(1);
  CHECK(answer() == VIRTIO_VSOCK_OP_RST);
}

TEST_CASE_FIXTURE(Fixture, "nothing is served before a start and after a reset") {
  if (!device) return;
  const auto [server, port] = listening();
  start();
  device->reset();
  ask_for(port);
  std::this_thread::sleep_for(100ms);
  CHECK(!rings[kTransmit]->take_used().has_value());
  start();
  ask_for(port);
  CHECK(answer() == VIRTIO_VSOCK_OP_RESPONSE);
}

TEST_CASE_FIXTURE(Fixture, "a ring that vhost can't use asks for a reset, and serves after it") {
  if (!device) return;
  start();
  rings[kTransmit]->set_descriptor(0, {kPlace, 64, VRING_DESC_F_NEXT, 0xffff});
  rings[kTransmit]->make_available(0);
  device->notify(kTransmit);
  CHECK(eventually([&] { return heard.broken.load() == Fault::kRefusedByHost; }));

  device->reset();
  start();
  ask_for(1);
  CHECK(answer() == VIRTIO_VSOCK_OP_RST);
}

TEST_CASE_FIXTURE(Fixture, "two machines of a host can't have the same number") {
  if (!device) return;
  std::string told;
  try {
    const VhostVsock other(loop, memory, kCid);
  } catch (const base::ConfigError& error) {
    told = error.what();
  }
  CHECK(told ==
        "vsock cid " + std::to_string(kCid) + ": another machine of this host has it; use another");
}

}  // namespace vmm::test
