// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config/fields.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace vmm::machine {
namespace {

// Checks that no two fields share a name or a member, and returns how many are required.
template <class Config>
int required_of_distinct() {
  Config config;
  std::set<std::string> names;
  std::set<const void*> members;
  int required = 0;
  visit(config, [&](const char* name, auto& member, bool is_required = false) {
    CAPTURE(name);
    CHECK(names.insert(name).second);
    CHECK(members.insert(&member).second);
    required += is_required;
  });
  return required;
}

}  // namespace

TEST_CASE("each field has a name and a member of its own") {
  CHECK(required_of_distinct<MachineConfig>() == 3);
  CHECK(required_of_distinct<DiskConfig>() == 1);
  CHECK(required_of_distinct<ShareConfig>() == 2);
  CHECK(required_of_distinct<NetConfig>() == 1);
  CHECK(required_of_distinct<VsockConfig>() == 1);
}

TEST_CASE("a list of values has no field that may be left out") {
  CHECK(required_of_distinct<ForwardConfig>() == 4);
  CHECK(required_of_distinct<DisplayConfig>() == 2);
}

}  // namespace vmm::machine
