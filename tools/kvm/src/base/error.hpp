// SPDX-License-Identifier: GPL-2.0-only
//
// How the VMM reports errors on the host side: an exception that names the call that failed and its
// errno (`KVM_SET_SREGS: Invalid argument`). Guest faults are never exceptions; bugs of the VMM are
// assertions. Usable from any thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace vmm::base {

// A system call or ioctl failed.
class SystemError : public std::runtime_error {
 public:
  SystemError(std::string_view call, int error_number);

  const std::string& call() const { return call_; }
  int error_number() const { return error_number_; }

 private:
  std::string call_;
  int error_number_;
};

// The user's request cannot be met; the message has the value and a hint.
class ConfigError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// A kernel or initrd cannot be loaded; the message has the file and a hint.
class LoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Returns `result` unless it is negative: then throws SystemError with the current errno.
int check(int result, std::string_view call);

}  // namespace vmm::base
