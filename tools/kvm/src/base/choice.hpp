// SPDX-License-Identifier: GPL-2.0-only
//
// Enums whose values people write as words. Each has one table, `choices_of()` in the namespace of
// the enum; the name of a value, the value of a name and the words of a message all come from it.
// Pure functions, for any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace vmm::base {

template <class Value>
struct Choice {
  std::string_view name;
  Value value;
};

// An enum that has `constexpr std::array<base::Choice<Value>, N> choices_of(Value)`. A value that
// is not in the table has no name and cannot be chosen.
template <class Value>
concept Chosen = std::is_enum_v<Value> && requires(Value value) { choices_of(value); };

template <Chosen Value>
constexpr std::string_view name_of(Value value) {
  for (const Choice<Value>& choice : choices_of(value)) {
    if (choice.value == value) return choice.name;
  }
  return "";
}

template <Chosen Value>
constexpr std::optional<Value> value_named(std::string_view name) {
  for (const Choice<Value>& choice : choices_of(Value{})) {
    if (choice.name == name) return choice.value;
  }
  return std::nullopt;
}

// All names, formatted for a message: "auto, port or none".
template <Chosen Value>
std::string names_to_use() {
  constexpr auto choices = choices_of(Value{});
  std::string words;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i != 0) words += i + 1 == choices.size() ? " or " : ", ";
    words += choices[i].name;
  }
  return words;
}

}  // namespace vmm::base
