// SPDX-License-Identifier: GPL-2.0-only
#include "display/keymap.hpp"

#include <doctest/doctest.h>
#include <linux/input-event-codes.h>

#include <algorithm>

namespace vmm::display {

TEST_CASE("characters are where an American keyboard has them, shifted or not") {
  CHECK(key_code('a') == KEY_A);
  CHECK(key_code('A') == KEY_A);
  CHECK(key_code('1') == KEY_1);
  CHECK(key_code('!') == KEY_1);
  CHECK(key_code('0') == KEY_0);
  CHECK(key_code('+') == KEY_EQUAL);
  CHECK(key_code('}') == KEY_RIGHTBRACE);
  CHECK(key_code('`') == KEY_GRAVE);
  CHECK(key_code('\'') == KEY_APOSTROPHE);
  CHECK(key_code('|') == KEY_BACKSLASH);
  CHECK(key_code('?') == KEY_SLASH);
  CHECK(key_code(' ') == KEY_SPACE);
}

TEST_CASE("every printable character of ASCII has a key") {
  for (uint32_t keysym = ' '; keysym <= '~'; ++keysym) {
    CAPTURE(keysym);
    CHECK(key_code(keysym));
  }
}

TEST_CASE("keys without a character are known by their names") {
  CHECK(key_code(0xff0d) == KEY_ENTER);
  CHECK(key_code(0xff1b) == KEY_ESC);
  CHECK(key_code(0xffbe) == KEY_F1);
  CHECK(key_code(0xffc7) == KEY_F10);
  CHECK(key_code(0xffc8) == KEY_F11);
  CHECK(key_code(0xffe3) == KEY_LEFTCTRL);
  CHECK(key_code(0xffb5) == KEY_KP5);
}

TEST_CASE("what this keyboard has not is nothing") {
  CHECK_FALSE(key_code(0));
  CHECK_FALSE(key_code(0xe4));  // a with two dots
  CHECK_FALSE(key_code(0xffffffff));
}

TEST_CASE("the codes are each there once") {
  const auto codes = key_codes();
  CHECK(std::ranges::is_sorted(codes));
  CHECK(std::ranges::adjacent_find(codes) == codes.end());
  CHECK(std::ranges::binary_search(codes, KEY_Z));
  CHECK(codes.back() < 256);
}

}  // namespace vmm::display
