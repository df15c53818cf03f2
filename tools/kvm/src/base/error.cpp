// SPDX-License-Identifier: GPL-2.0-only
#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace vmm::base {

SystemError::SystemError(std::string_view call, int error_number)
    : std::runtime_error(std::string(call) + ": " + std::generic_category().message(error_number)),
      call_(call),
      error_number_(error_number) {}

int check(int result, std::string_view call) {
  if (result < 0) throw SystemError(call, errno);
  return result;
}

}  // namespace vmm::base
