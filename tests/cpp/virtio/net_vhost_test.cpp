// SPDX-License-Identifier: GPL-2.0-only
//
// Needs a host with vhost and the permission to make a tap; tests/boot tests the same on machines.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "backend/tap.hpp"
#include "base/error.hpp"
#include "mock_driver.hpp"
#include "virtio/device/net/net.hpp"

namespace vmm::test {
namespace {

using namespace std::chrono_literals;
using virtio::Fault;

constexpr uint16_t kReceive = 0, kTransmit = 1, kControl = 2;
constexpr uint16_t kPort = 4977;
constexpr const char* kHost = "198.18.77.1";  // for experiments (RFC 2544)
constexpr const char* kGuest = "198.18.77.2";
constexpr const char* kAll = "198.18.77.255";
constexpr uint64_t kSendPlace = MockDriver::kBuffers;
constexpr uint64_t kReceivePlace = kSendPlace + 0x10000;
constexpr uint32_t kBufferBytes = 2048;
constexpr uint32_t kHeader = sizeof(backend::NetHeader);

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

template <class T>
std::string bytes_of(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

// RFC 791: the checksum of the header's 16-bit words, with its own field zero.
uint16_t header_checksum(const iphdr& header) {
  std::array<uint16_t, sizeof header / 2> words;
  std::memcpy(words.data(), &header, sizeof header);
  uint32_t sum = 0;
  for (const uint16_t word : words) sum += word;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

sockaddr_in at(const char* address) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(kPort);
  place.sin_addr.s_addr = inet_addr(address);
  return place;
}

struct Heard final : virtio::Interrupt {
  void queue_used(uint16_t index) override { used |= 1U << index; }
  void config_changed() override {}
  void needs_reset(uint16_t, Fault fault) override { broken = fault; }

  std::atomic<uint32_t> used = 0;
  std::atomic<std::optional<Fault>> broken;
};

// A datagram from the guest's side to the host's, in a broadcast frame, as there is no ARP.
std::string frame(const std::string& words) {
  ether_header ethernet{
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {2, 0, 0, 0, 0, 1}, htons(ETHERTYPE_IP)};
  const auto udp_bytes = static_cast<uint16_t>(sizeof(udphdr) + words.size());
  iphdr ip{};
  ip.version = 4;
  ip.ihl = sizeof ip / 4;
  ip.tot_len = htons(static_cast<uint16_t>(sizeof ip + udp_bytes));
  ip.ttl = 1;
  ip.protocol = IPPROTO_UDP;
  ip.saddr = inet_addr(kGuest);
  ip.daddr = inet_addr(kHost);
  ip.check = header_checksum(ip);
  udphdr udp{};
  udp.uh_sport = udp.uh_dport = htons(kPort);
  udp.uh_ulen = htons(udp_bytes);  // without a checksum, which is allowed
  return bytes_of(ethernet) + bytes_of(ip) + bytes_of(udp) + words;
}

// Calls the device directly instead of through a transport, as vhost needs the memory first.
struct Fixture {
  Fixture() {
    try {
      auto tap = std::make_unique<backend::Tap>(loop, "tkvmtest%d", 1, std::string(kHost) + "/24");
      open_wire();
      const virtio::Net::ByVhost by_vhost{loop, memory, tap->files()};
      net = std::make_unique<virtio::Net>(std::move(tap), virtio::MacAddress{2, 0, 0, 0, 0, 1},
                                          by_vhost);
    } catch (const base::ConfigError& error) {
      MESSAGE("not tested here: " << std::string(error.what()));
    }
  }

  void open_wire() {
    wire = base::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1;
    setsockopt(wire.get(), SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
    const sockaddr_in here = at(kHost);
    REQUIRE(bind(wire.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
  }

  virtio::Queue queue(uint16_t index) {
    const uint16_t size = net->queue_max_sizes()[index];
    rings[index] = std::make_unique<MockRing>(memory, MockDriver::ring_place(index), size);
    auto created = virtio::Queue::create(memory, rings[index]->state(), size);
    return std::move(std::get<virtio::Queue>(created));
  }

  void start() {
    virtio::Activation activation{
        1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_CTRL_VQ, {}, &heard, &backlog};
    for (uint16_t index = 0; index < 3; ++index) activation.queues.emplace_back(queue(index));
    net->activate(std::move(activation));
  }

  void add(uint16_t index, const Buffer& buffer) {
    rings[index]->add({buffer});
    net->notify(index);
  }

  void send(const std::string& words) {
    const std::string bytes = std::string(kHeader, '\0') + frame(words);
    memory.write({kSendPlace}, std::as_bytes(std::span(bytes)));
    add(kTransmit, readable(kSendPlace, static_cast<uint32_t>(bytes.size())));
  }
  bool sent(const std::string& words) {
    return eventually([&] {
      std::array<char, kBufferBytes> got{};
      const ssize_t length = recv(wire.get(), got.data(), got.size(), 0);
      return length > 0 && std::string(got.data(), static_cast<size_t>(length)) == words;
    });
  }

  void put_on_the_wire(const std::string& words) {
    const sockaddr_in all = at(kAll);
    REQUIRE(sendto(wire.get(), words.data(), words.size(), 0,
                   reinterpret_cast<const sockaddr*>(&all), sizeof all) > 0);
  }
  // Other frames of the host (such as IPv6) may come before it.
  bool received(const std::string& words) {
    return eventually([&] {
      const auto used = rings[kReceive]->take_used();
      if (!used) return false;
      std::string got(used->len, '\0');
      memory.read({kReceivePlace}, std::as_writable_bytes(std::span(got)));
      if (got.ends_with(words)) return true;
      add(kReceive, writable(kReceivePlace, kBufferBytes));
      return false;
    });
  }

  base::EventLoop loop;
  memory::GuestMemory memory{MockDriver::kMemoryBytes};
  std::array<std::unique_ptr<MockRing>, 3> rings;
  Heard heard;
  virtio::Backlog backlog{3, [this](uint16_t index) { net->catch_up(index); }};
  base::UniqueFd wire;
  std::unique_ptr<virtio::Net> net;  // null: not available here
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "vhost moves frames between the rings and a tap") {
  if (!net) return;
  start();
  send("there");
  CHECK(sent("there"));
  add(kReceive, writable(kReceivePlace, kBufferBytes));
  put_on_the_wire("and back");
  CHECK(received("and back"));
  CHECK(eventually([&] { return heard.used == (1U << kReceive | 1U << kTransmit); }));
}

TEST_CASE_FIXTURE(Fixture, "a queue by vhost is left alone once stopped, and starts anew") {
  if (!net) return;
  start();
  net->stop_queue(kTransmit);
  send("too late");
  std::this_thread::sleep_for(100ms);
  CHECK(!rings[kTransmit]->take_used().has_value());

  net->start_queue(kTransmit, queue(kTransmit));
  send("again");
  CHECK(sent("again"));
}

TEST_CASE_FIXTURE(Fixture,
                  "a ring that vhost-net can't use asks for a reset, and serves after it") {
  if (!net) return;
  start();
  rings[kTransmit]->set_descriptor(0, {kSendPlace, 64, VRING_DESC_F_NEXT, 0xffff});
  rings[kTransmit]->make_available(0);
  net->notify(kTransmit);
  CHECK(eventually([&] { return heard.broken.load() == Fault::kRefusedByHost; }));

  net->reset();
  start();
  send("well again");
  CHECK(sent("well again"));
}

TEST_CASE_FIXTURE(Fixture, "a fault of the control queue's stops what vhost serves") {
  if (!net) return;
  start();
  add(kControl, readable(kSendPlace, 2));
  CHECK(heard.broken.load() == Fault::kMalformedRequest);
  send("too late");
  std::this_thread::sleep_for(100ms);
  CHECK(!rings[kTransmit]->take_used().has_value());
}

TEST_CASE_FIXTURE(Fixture, "a network by vhost promises no order") {
  if (!net) return;
  CHECK((net->features() & 1ULL << VIRTIO_F_IN_ORDER) == 0);
  CHECK((net->features() & 1ULL << VIRTIO_NET_F_MRG_RXBUF) != 0);
}

}  // namespace vmm::test
