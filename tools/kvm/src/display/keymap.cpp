// SPDX-License-Identifier: GPL-2.0-only
#include "display/keymap.hpp"

#include <linux/input-event-codes.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace vmm::display {
namespace {

using Map = std::unordered_map<uint32_t, uint16_t>;

// The keys of a keyboard row have consecutive codes; each has two characters.
struct Row {
  uint16_t first;
  std::string_view plain;
  std::string_view shifted;
};

constexpr Row kRows[] = {
    {KEY_1, "1234567890-=", "!@#$%^&*()_+"},
    {KEY_Q, "qwertyuiop[]", "QWERTYUIOP{}"},
    {KEY_A, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
    {KEY_BACKSLASH, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
};

// Keysyms without a character, from X11's keysymdef.h.
struct Named {
  uint32_t keysym;
  uint16_t code;
};

constexpr Named kNamed[] = {
    {' ', KEY_SPACE},         {0xff08, KEY_BACKSPACE}, {0xff09, KEY_TAB},
    {0xfe20, KEY_TAB},        {0xff0d, KEY_ENTER},     {0xff13, KEY_PAUSE},
    {0xff14, KEY_SCROLLLOCK}, {0xff15, KEY_SYSRQ},     {0xff61, KEY_SYSRQ},
    {0xff1b, KEY_ESC},        {0xff50, KEY_HOME},      {0xff51, KEY_LEFT},
    {0xff52, KEY_UP},         {0xff53, KEY_RIGHT},     {0xff54, KEY_DOWN},
    {0xff55, KEY_PAGEUP},     {0xff56, KEY_PAGEDOWN},  {0xff57, KEY_END},
    {0xff63, KEY_INSERT},     {0xffff, KEY_DELETE},    {0xff67, KEY_COMPOSE},
    {0xff7f, KEY_NUMLOCK},    {0xffe1, KEY_LEFTSHIFT}, {0xffe2, KEY_RIGHTSHIFT},
    {0xffe3, KEY_LEFTCTRL},   {0xffe4, KEY_RIGHTCTRL}, {0xffe5, KEY_CAPSLOCK},
    {0xffe7, KEY_LEFTALT},    {0xffe8, KEY_RIGHTALT},  {0xffe9, KEY_LEFTALT},
    {0xffea, KEY_RIGHTALT},   {0xfe03, KEY_RIGHTALT},  {0xffeb, KEY_LEFTMETA},
    {0xffec, KEY_RIGHTMETA},  {0xff8d, KEY_KPENTER},   {0xffaa, KEY_KPASTERISK},
    {0xffab, KEY_KPPLUS},     {0xffad, KEY_KPMINUS},   {0xffae, KEY_KPDOT},
    {0xff9f, KEY_KPDOT},      {0xffaf, KEY_KPSLASH},   {0xffb0, KEY_KP0},
    {0xffb1, KEY_KP1},        {0xffb2, KEY_KP2},       {0xffb3, KEY_KP3},
    {0xffb4, KEY_KP4},        {0xffb5, KEY_KP5},       {0xffb6, KEY_KP6},
    {0xffb7, KEY_KP7},        {0xffb8, KEY_KP8},       {0xffb9, KEY_KP9},
    {0xff95, KEY_KP7},        {0xff96, KEY_KP4},       {0xff97, KEY_KP8},
    {0xff98, KEY_KP6},        {0xff99, KEY_KP2},       {0xff9a, KEY_KP9},
    {0xff9b, KEY_KP3},        {0xff9c, KEY_KP1},       {0xff9d, KEY_KP5},
    {0xff9e, KEY_KP0},        {0xffc8, KEY_F11},       {0xffc9, KEY_F12},
};
constexpr uint32_t kKeysymF1 = 0xffbe;
constexpr uint32_t kFirstFunctionKeys = 10;  // the codes of F11 and F12 are elsewhere

Map make_map() {
  Map map;
  for (const Row& row : kRows) {
    for (size_t i = 0; i < row.plain.size(); ++i) {
      const auto code = static_cast<uint16_t>(row.first + i);
      map.emplace(static_cast<unsigned char>(row.plain[i]), code);
      map.emplace(static_cast<unsigned char>(row.shifted[i]), code);
    }
  }
  for (const Named& named : kNamed) map.emplace(named.keysym, named.code);
  for (uint32_t i = 0; i < kFirstFunctionKeys; ++i) {
    map.emplace(kKeysymF1 + i, static_cast<uint16_t>(KEY_F1 + i));
  }
  return map;
}

const Map& map() {
  static const Map made = make_map();
  return made;
}

}  // namespace

std::optional<uint16_t> key_code(uint32_t keysym) {
  const auto found = map().find(keysym);
  if (found == map().end()) return std::nullopt;
  return found->second;
}

std::vector<uint16_t> key_codes() {
  std::vector<uint16_t> codes;
  for (const auto& [keysym, code] : map()) codes.push_back(code);
  std::ranges::sort(codes);
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  return codes;
}

}  // namespace vmm::display
