// SPDX-License-Identifier: GPL-2.0-only
#include "machine/network.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "base/error.hpp"

namespace vmm::test {
namespace {

using machine::mac_address;
using machine::MachineConfig;
using machine::NetConfig;
using machine::VsockConfig;

NetConfig user() {
  NetConfig net;
  net.kind = "user";
  return net;
}

std::string failure(const std::function<void(MachineConfig&)>& change) {
  MachineConfig config;
  config.nets = {user(), user()};
  change(config);
  try {
    machine::validate_networks(config);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string mac_failure(const std::string& text) {
  try {
    mac_address(text, 0);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an interface's address is the same each time, and its own") {
  CHECK(mac_address("", 0) == mac_address("", 0));
  CHECK(mac_address("", 0) != mac_address("", 1));
  CHECK((mac_address("", 0)[0] & 3) == 2);  // one station's, locally administered
  CHECK(mac_address("52:54:00:aB:cd:0f", 3) ==
        virtio::MacAddress{0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f});
}

TEST_CASE("an address that is none names itself and the form") {
  for (const char* text : {"x", "02:54:4b:56:4d", "02:54:4b:56:4d:00:", "02:54:4b:56:4d:00:01",
                           "02:54:4b:56:4d:0g", "02-54-4b-56-4d-00"}) {
    CAPTURE(text);
    CHECK(contains(mac_failure(text), text));
    CHECK(contains(mac_failure(text), "02:54:4b:56:4d:00"));
  }
  CHECK(contains(mac_failure("03:54:4b:56:4d:00"), "even first byte"));
}

TEST_CASE("networks that can't be are refused with the mend") {
  CHECK(failure([](MachineConfig&) {}) == "");
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].kind = "bridge"; }), "user or tap"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].kind = "tap"; }), "name the interface"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].mac = "02:54:4b:56:4d:01"; }),
                 "interface 1 has the mac of another"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].forwards.push_back({}); }),
                 "use 1 to 65535"));
  const auto with_cid = [](uint64_t cid) {
    return failure([cid](MachineConfig& c) { c.vsock = {"/tmp/v", cid}; });
  };
  CHECK(with_cid(3) == "");
  CHECK(contains(with_cid(2), "use 3 to 4294967294"));
  CHECK(contains(with_cid(0xffffffff), "use 3 to"));
  const auto by_vhost = [](const VsockConfig& vsock, const std::string& ring) {
    return failure([&](MachineConfig& c) {
      c.vsock = vsock;
      c.ring = ring;
    });
  };
  CHECK(by_vhost({"", 3, true}, "split") == "");
  CHECK(contains(by_vhost({"", 2, true}, "split"), "use 3 to 4294967294"));
  CHECK(contains(by_vhost({"", 3, true}, "packed"), "use split"));
  CHECK(contains(failure([](MachineConfig& c) { c.nets[0].vhost = true; }), "use tap"));
  CHECK(contains(failure([](MachineConfig& c) {
                   c.nets[0].kind = c.nets[0].tap = "tap";
                   c.nets[0].vhost = true;
                   c.ring = "packed";
                 }),
                 "net by vhost with ring packed"));
  CHECK(contains(by_vhost({"/tmp/v", 3, true}, "split"), "/tmp/v: use one of them"));
}

}  // namespace vmm::test
