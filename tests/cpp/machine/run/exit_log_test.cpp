// SPDX-License-Identifier: GPL-2.0-only
#include "machine/run/exit_log.hpp"

#include <doctest/doctest.h>

#include <array>

namespace vmm::machine {
namespace {

using kvm::Direction;

struct Fixture {
  ExitLog log;
  std::array<std::byte, 4> data = {std::byte{0x41}, std::byte{0x42}, {}, {}};

  void port(uint16_t number, uint32_t count = 1) {
    log.record(0, kvm::Pio{Direction::kWrite, number, 1, count, std::span(data).first(count)});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "exits are counted by reason and by port") {
  port(0x3f8);
  port(0x3f8);
  port(0x60);
  log.record(1, kvm::Interrupted{});
  const auto reasons = log.reasons();
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0].first == "io");
  CHECK(reasons[0].second == 3);
  CHECK(reasons[1].first == "interrupted");
  const auto ports = log.ports();
  REQUIRE(ports.size() == 2);
  CHECK(ports[0] == std::pair<uint16_t, uint64_t>{0x60, 1});
  CHECK(ports[1] == std::pair<uint16_t, uint64_t>{0x3f8, 2});
}

TEST_CASE_FIXTURE(Fixture, "the last exits read as text, oldest first") {
  port(0x3f8);
  port(0x3f8, 2);
  log.record(2, kvm::Mmio{Direction::kRead, 0xd0000070, std::span(data)});
  log.record(3, kvm::Shutdown{});
  const auto lines = log.last();
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "io write 0x3f8 0x41 (vcpu 0)");
  CHECK(lines[1] == "io write 0x3f8 0x41 and 1 more (vcpu 0)");
  CHECK(lines[2] == "mmio read 0xd0000070 0x4241 (vcpu 2)");
  CHECK(lines[3] == "shutdown (vcpu 3)");
}

TEST_CASE_FIXTURE(Fixture, "only the last are remembered, all are counted") {
  for (uint16_t i = 0; i < 100; ++i) port(i);
  const auto lines = log.last();
  REQUIRE(lines.size() == ExitLog::kRemembered);
  CHECK(lines.back() == "io write 0x63 0x41 (vcpu 0)");
  CHECK(log.reasons()[0].second == 100);
}

}  // namespace vmm::machine
