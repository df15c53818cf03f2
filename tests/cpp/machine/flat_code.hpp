// SPDX-License-Identifier: GPL-2.0-only
//
// Shared code of tests with whole machines: a file of raw code, and a run to the machine's end. A
// few bytes of guest code run even on a KVM that cannot boot Linux.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "tiny_kernel.hpp"

namespace vmm::test {

// A file with only code, removed at the end.
class FlatCode {
 public:
  explicit FlatCode(const std::vector<uint8_t>& code) {
    const int fd = mkstemp(path_.data());
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, code.data(), code.size()) == static_cast<ssize_t>(code.size()));
    close(fd);
  }
  ~FlatCode() { unlink(path_.c_str()); }
  FlatCode(const FlatCode&) = delete;
  FlatCode& operator=(const FlatCode&) = delete;

  machine::MachineConfig config() const {
    machine::MachineConfig config;
    config.kernel = path_;
    config.memory_mib = machine::MachineConfig::kMinMemoryMib;
    return config;
  }

  // The configuration of a machine that starts the code in real mode, at 1000:0000.
  machine::MachineConfig payload() const {
    machine::MachineConfig made = config();
    made.protocol = loader::Protocol::kFlat;
    made.payload = true;
    return made;
  }

 private:
  std::string path_ = "/tmp/vmm-machine-test-XXXXXX";
};

inline machine::StopInfo run(machine::Machine& machine) {
  machine.start();
  auto stop = machine.wait(std::chrono::seconds(10));
  REQUIRE(stop);
  return *stop;
}

}  // namespace vmm::test
