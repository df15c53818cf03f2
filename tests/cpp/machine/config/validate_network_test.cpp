// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/validate_network.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "base/error.hpp"

namespace vmm::test {
namespace {

using machine::MachineConfig;
using machine::NetKind;
using machine::Ring;
using machine::VsockConfig;

std::string failure(const std::function<void(MachineConfig&)>& change) {
  MachineConfig config;
  config.nets.resize(2);
  change(config);
  try {
    machine::validate_networks(config);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("networks that can't be are refused with the hint") {
  CHECK(failure([](MachineConfig&) {}) == "");
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].kind = NetKind::kTap; }),
                 "name the interface"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].mac = "02:54:4b:56:4d:01"; }),
                 "interface 1 has the mac of another"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].forwards.push_back({}); }),
                 "use 1 to 65535"));
  const auto with_cid = [](uint64_t cid) {
    return failure([cid](MachineConfig& c) { c.vsock = VsockConfig{"/tmp/v", cid}; });
  };
  CHECK(with_cid(3) == "");
  CHECK(contains(with_cid(2), "use 3 to 4294967294"));
  CHECK(contains(with_cid(0xffffffff), "use 3 to"));
  const auto by_vhost = [](uint64_t cid, Ring ring) {
    return failure([&](MachineConfig& c) {
      c.vsock = VsockConfig{std::nullopt, cid};
      c.ring = ring;
    });
  };
  CHECK(by_vhost(3, Ring::kSplit) == "");
  CHECK(contains(by_vhost(2, Ring::kSplit), "use 3 to 4294967294"));
  CHECK(contains(by_vhost(3, Ring::kPacked), "use split"));
  CHECK(contains(failure([](MachineConfig& c) { c.vsock = VsockConfig{""}; }), "without a name"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].vhost = true; }), "use tap"));
  CHECK(contains(failure([](MachineConfig& c) {
                   c.nets[0].kind = NetKind::kTap;
                   c.nets[0].tap = "tap0";
                   c.nets[0].vhost = true;
                   c.ring = Ring::kPacked;
                 }),
                 "net by vhost with ring packed"));
}

}  // namespace vmm::test
