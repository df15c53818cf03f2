// SPDX-License-Identifier: GPL-2.0-only
//
// One of each kind of device, with a request that it completes at once, for tests that all devices
// must pass. A new device needs an entry in kDevices.
#pragma once

#include <doctest/doctest.h>
#include <linux/virtio_blk.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.hpp"
#include "memory_backend.hpp"
#include "mock_driver.hpp"
#include "mock_net.hpp"
#include "temporary_folder.hpp"
#include "virtio/device/balloon.hpp"
#include "virtio/device/block/block.hpp"
#include "virtio/device/console/console.hpp"
#include "virtio/device/input.hpp"
#include "virtio/device/net/net.hpp"
#include "virtio/device/ninep.hpp"
#include "virtio/device/rng.hpp"
#include "virtio/device/vsock/vsock.hpp"

namespace vmm::test {

struct Specimen {
  virtual ~Specimen() = default;
  virtual virtio::Device& device() = 0;
  virtual uint16_t queues() = 0;
  // The queue under test, and a request for it that the device completes at once.
  virtual uint16_t queue() = 0;
  virtual std::vector<Buffer> request(memory::GuestMemory& memory) = 0;
  // Removes data that requests leave on the host's side.
  virtual void tidy() {}
};

struct BlockSpecimen final : Specimen {
  virtio::Device& device() override { return block; }
  uint16_t queues() override { return 1; }
  uint16_t queue() override { return 0; }
  std::vector<Buffer> request(memory::GuestMemory& memory) override {
    memory.write_object({MockDriver::kBuffers}, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, 1});
    return {readable(MockDriver::kBuffers, 16), writable(MockDriver::kBuffers + 0x1000, 512),
            writable(MockDriver::kBuffers + 0x2000, 1)};
  }
  virtio::Block block{std::make_unique<MemoryBackend>(64 * 512)};
};

struct RngSpecimen final : Specimen {
  virtio::Device& device() override { return rng; }
  uint16_t queues() override { return 1; }
  uint16_t queue() override { return 0; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {writable(MockDriver::kBuffers, 16)};
  }
  virtio::Rng rng;
};

struct ConsoleSpecimen final : Specimen {
  ConsoleSpecimen() {
    for (auto& pair : ends) {
      std::array<int, 2> fds{};
      REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
      pair = {base::UniqueFd(fds[0]), base::UniqueFd(fds[1])};
    }
    console = std::make_unique<virtio::Console>(
        loop, virtio::Console::Ports{std::move(ends[0][1]), std::move(ends[1][1])});
  }
  virtio::Device& device() override { return *console; }
  uint16_t queues() override { return 6; }
  uint16_t queue() override { return 1; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 5)};
  }
  void tidy() override {
    std::array<char, 4096> bytes;
    while (recv(ends[0][0].get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
    }
  }

  base::EventLoop loop;
  std::array<std::array<base::UniqueFd, 2>, 2> ends;
  std::unique_ptr<virtio::Console> console;
};

struct NetSpecimen final : Specimen {
  virtio::Device& device() override { return net; }
  uint16_t queues() override { return 3; }
  uint16_t queue() override { return 1; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 72)};
  }
  MockNetLog log;
  virtio::Net net{std::make_unique<MockNet>(log, backend::NetTraits{}), {2, 0, 0, 0, 0, 1}};
};

struct VsockSpecimen final : Specimen {
  virtio::Device& device() override { return vsock; }
  uint16_t queues() override { return 3; }
  uint16_t queue() override { return 1; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 44)};
  }

  base::EventLoop loop;
  TemporaryFolder folder;
  virtio::Vsock vsock{loop, 3, folder / "v"};
};

struct BalloonSpecimen final : Specimen {
  virtio::Device& device() override { return balloon; }
  uint16_t queues() override { return 4; }
  uint16_t queue() override { return 0; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 16)};
  }

  memory::GuestMemory own_memory{1 << 20};
  virtio::Balloon balloon{own_memory, 0};
};

struct InputSpecimen final : Specimen {
  virtio::Device& device() override { return input; }
  uint16_t queues() override { return 2; }
  uint16_t queue() override { return 1; }
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 8)};
  }
  virtio::Input input{virtio::InputTraits{}};
};

struct ShareSpecimen final : Specimen {
  virtio::Device& device() override { return share; }
  uint16_t queues() override { return 1; }
  uint16_t queue() override { return 0; }
  // The answer is an error, as there is no session.
  std::vector<Buffer> request(memory::GuestMemory&) override {
    return {readable(MockDriver::kBuffers, 16), writable(MockDriver::kBuffers + 0x1000, 64)};
  }
  virtio::Ninep share{ninep::Share("/", true), "root"};
};

inline const struct {
  std::string name;
  std::function<std::unique_ptr<Specimen>()> make;
} kDevices[] = {
    {"block", [] { return std::make_unique<BlockSpecimen>(); }},
    {"input", [] { return std::make_unique<InputSpecimen>(); }},
    {"rng", [] { return std::make_unique<RngSpecimen>(); }},
    {"console", [] { return std::make_unique<ConsoleSpecimen>(); }},
    {"net", [] { return std::make_unique<NetSpecimen>(); }},
    {"vsock", [] { return std::make_unique<VsockSpecimen>(); }},
    {"balloon", [] { return std::make_unique<BalloonSpecimen>(); }},
    {"share", [] { return std::make_unique<ShareSpecimen>(); }},
};

}  // namespace vmm::test
