// SPDX-License-Identifier: GPL-2.0-only
//
// The result of an operation on the share, as an Rlerror carries it: Linux's errno. A value,
// because a guest can provoke failures at will; created where the call failed, before errno can
// change.
#pragma once

#include <cerrno>
#include <cstdint>
#include <variant>

namespace vmm::ninep {

struct [[nodiscard]] Errno {
  int value = 0;  // 0: success

  explicit operator bool() const { return value != 0; }
  bool operator==(const Errno&) const = default;
};

inline constexpr Errno kOk{};

inline Errno last_errno() { return Errno{errno}; }

// For system calls that return -1 on failure.
inline Errno result_of(long result) { return result < 0 ? last_errno() : kOk; }

template <class T>
using Result = std::variant<T, Errno>;

}  // namespace vmm::ninep
