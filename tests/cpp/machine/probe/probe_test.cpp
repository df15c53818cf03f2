// SPDX-License-Identifier: GPL-2.0-only
#include "machine/probe/probe.hpp"

#include <doctest/doctest.h>

#include "machine/probe/probe_guest.hpp"

namespace vmm::machine {

TEST_CASE("the probe guest fits and its handlers lie inside it") {
  const ProbeGuest guest = probe_guest();
  CHECK(guest.code.size() > 100);
  CHECK(guest.code.size() < 4096);
  CHECK(guest.breakpoint_handler < guest.code.size());
  CHECK(guest.timer_handler < guest.code.size());
  CHECK(guest.breakpoint_handler != guest.timer_handler);
}

TEST_CASE("probing ends in time with a verdict and its reason, whatever this host's KVM is") {
  const auto begin = std::chrono::steady_clock::now();
  const ProbeResult result = probe(std::chrono::seconds(5));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK_FALSE(result.detail.empty());
  MESSAGE("/dev/kvm is ", std::string(name_of(result.state)), ": ", result.detail);
}

}  // namespace vmm::machine
