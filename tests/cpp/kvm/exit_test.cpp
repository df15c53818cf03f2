// SPDX-License-Identifier: GPL-2.0-only
#include "kvm/exit.hpp"

#include <doctest/doctest.h>

namespace vmm::kvm {

TEST_CASE("every kind of exit has its own name") {
  CHECK(name_of(Pio{}) == "io");
  CHECK(name_of(Mmio{}) == "mmio");
  CHECK(name_of(Halt{}) == "halt");
  CHECK(name_of(Shutdown{}) == "shutdown");
  CHECK(name_of(Interrupted{}) == "interrupted");
  CHECK(name_of(Debug{}) == "debug");
  CHECK(name_of(Hypercall{}) == "hypercall");
  CHECK(name_of(SystemEvent{}) == "system_event");
  CHECK(name_of(FailEntry{}) == "fail_entry");
  CHECK(name_of(InternalError{}) == "internal_error");
  CHECK(name_of(Unknown{}) == "unknown");
}

}  // namespace vmm::kvm
