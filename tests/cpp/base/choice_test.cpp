// SPDX-License-Identifier: GPL-2.0-only
#include "base/choice.hpp"

#include <doctest/doctest.h>

#include <array>

namespace vmm::test {
namespace {

enum class Colour { kRed, kGreen, kBlue, kUnseen };

constexpr std::array<base::Choice<Colour>, 3> choices_of(Colour) {
  return {{{"red", Colour::kRed}, {"green", Colour::kGreen}, {"blue", Colour::kBlue}}};
}

enum class Side { kLeft, kRight };

constexpr std::array<base::Choice<Side>, 2> choices_of(Side) {
  return {{{"left", Side::kLeft}, {"right", Side::kRight}}};
}

}  // namespace

TEST_CASE("a value and its name lead to each other") {
  CHECK(base::name_of(Colour::kBlue) == "blue");
  CHECK(base::value_named<Colour>("green") == Colour::kGreen);
}

TEST_CASE("another word names no value, and a value outside the table has no name") {
  CHECK_FALSE(base::value_named<Colour>("Red"));
  CHECK_FALSE(base::value_named<Colour>(""));
  CHECK(base::name_of(Colour::kUnseen).empty());
}

TEST_CASE("a message offers all names in the order of the table") {
  CHECK(base::names_to_use<Colour>() == "red, green or blue");
  CHECK(base::names_to_use<Side>() == "left or right");
}

}  // namespace vmm::test
