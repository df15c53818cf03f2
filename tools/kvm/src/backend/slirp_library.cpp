// SPDX-License-Identifier: GPL-2.0-only
#include "backend/slirp_library.hpp"

#include <dlfcn.h>

#include <string>

#include "base/error.hpp"

namespace vmm::backend::slirp {
namespace {

constexpr const char* kName = "libslirp.so.0";

[[noreturn]] void fail(const std::string& why) {
  throw base::ConfigError("user-mode networking needs libslirp: " + why +
                          "; install libslirp0 (Debian, Ubuntu) or libslirp (Fedora, Arch)");
}

template <class Function>
void resolve(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (function == nullptr) fail(std::string(kName) + " has no " + name);
}

Library load() {
  // Never closed: the GLib that it brings along can't be unloaded.
  void* handle = dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail(dlerror());
  Library found{};
  resolve(handle, "slirp_new", found.create);
  resolve(handle, "slirp_cleanup", found.cleanup);
  resolve(handle, "slirp_pollfds_fill", found.pollfds_fill);
  resolve(handle, "slirp_pollfds_poll", found.pollfds_poll);
  resolve(handle, "slirp_input", found.input);
  resolve(handle, "slirp_add_hostfwd", found.add_hostfwd);
  return found;
}

}  // namespace

const Library& library() {
  static const Library loaded = load();  // an exception leaves it unloaded, for another try
  return loaded;
}

}  // namespace vmm::backend::slirp
