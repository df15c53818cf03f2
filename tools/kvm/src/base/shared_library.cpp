// SPDX-License-Identifier: GPL-2.0-only
#include "base/shared_library.hpp"

#include <dlfcn.h>

#include <utility>

#include "base/error.hpp"

namespace vmm::base {

SharedLibrary::SharedLibrary(std::string soname, std::string wanted, std::string fix)
    : soname_(std::move(soname)),
      wanted_(std::move(wanted)),
      mend_(std::move(fix)),
      handle_(dlopen(soname_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) fail(dlerror());
}

void* SharedLibrary::symbol(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr) fail(soname_ + " has no " + name);
  return found;
}

void SharedLibrary::fail(const std::string& why) const {
  throw ConfigError(wanted_ + ": " + why + "; " + mend_);
}

}  // namespace vmm::base
