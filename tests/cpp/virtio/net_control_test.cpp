// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <initializer_list>
#include <vector>

#include "backend/virtio_net_abi.hpp"
#include "virtio/device/net/control.hpp"

namespace vmm::test {
namespace {

using virtio::NetLimits;
using virtio::NetSettings;

constexpr uint64_t bit(int feature) { return 1ULL << feature; }
constexpr uint64_t kEverything = bit(VIRTIO_NET_F_CTRL_RX) | bit(VIRTIO_NET_F_CTRL_MAC_ADDR) |
                                 bit(VIRTIO_NET_F_MQ) | bit(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
                                 bit(VIRTIO_NET_F_GUEST_CSUM) | bit(VIRTIO_NET_F_GUEST_TSO4);

struct Fixture {
  // Puts each byte in a separate buffer, as drivers may split a command anywhere.
  bool takes(std::initializer_list<int> bytes, uint64_t features = kEverything) {
    std::vector<uint8_t> copy;
    for (const int byte : bytes) copy.push_back(static_cast<uint8_t>(byte));
    std::vector<iovec> pieces;
    for (uint8_t& byte : copy) pieces.push_back({&byte, 1});
    return virtio::serve_net_command(pieces, NetLimits{features, 4}, settings) == VIRTIO_NET_OK;
  }
  NetSettings settings;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a command that is too short or unknown is refused") {
  CHECK_FALSE(takes({}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_RX}));
  CHECK_FALSE(takes({77, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 77, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_VLAN, 0, 1, 0}));
  CHECK(settings == NetSettings{});
}

TEST_CASE_FIXTURE(Fixture, "receive modes are one byte") {
  for (int mode = VIRTIO_NET_CTRL_RX_PROMISC; mode <= VIRTIO_NET_CTRL_RX_NOBCAST; ++mode) {
    CHECK(takes({VIRTIO_NET_CTRL_RX, mode, 1}));
  }
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST + 1, 1}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_RX, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_RX, 0, 1, 1}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_RX, 0, 1}, 0));
}

TEST_CASE_FIXTURE(Fixture, "address tables are as long as their counts say") {
  CHECK(takes({VIRTIO_NET_CTRL_MAC, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(takes({VIRTIO_NET_CTRL_MAC, 0, 1, 0, 0, 0, 2, 2, 3, 4, 5, 6, 0, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 0, 0, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 0, 0, 0, 0, 0, 1, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 0, 255, 255, 255, 255, 0, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 0, 0, 0, 0, 0, 255, 255, 255, 255}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}));
}

TEST_CASE_FIXTURE(Fixture, "an address is six bytes") {
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 1, 2, 3, 4, 5, 6}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MAC, 1, 2, 3, 4, 5, 6, 7}, 0));
  CHECK(settings == NetSettings{});
  CHECK(takes({VIRTIO_NET_CTRL_MAC, 1, 2, 3, 4, 5, 6, 7}));
  CHECK(settings.mac == virtio::MacAddress{2, 3, 4, 5, 6, 7});
}

TEST_CASE_FIXTURE(Fixture, "queue pairs are between one and the most there are") {
  CHECK(takes({VIRTIO_NET_CTRL_MQ, 0, 4, 0}));
  CHECK(settings.queue_pairs == 4);
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MQ, 0, 5, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MQ, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MQ, 0, 1, 1}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MQ, 0, 1}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_MQ, 0, 1, 0}, 0));
  CHECK(settings.queue_pairs == 4);
}

TEST_CASE_FIXTURE(Fixture, "offloads are some of those that were negotiated") {
  const int checksum = 1 << VIRTIO_NET_F_GUEST_CSUM;
  CHECK(takes({VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, checksum, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(settings.receive_offloads == bit(VIRTIO_NET_F_GUEST_CSUM));
  CHECK(takes({VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 0, 1, 0, 0, 0, 0, 0, 0}));  // TSO6
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 1, 0, 0, 0, 0, 0, 0, 0}));  // CSUM
  CHECK_FALSE(takes({VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, checksum, 0, 0, 0}));
  CHECK(settings.receive_offloads == 0);
}

}  // namespace vmm::test
