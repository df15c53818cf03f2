// SPDX-License-Identifier: GPL-2.0-only
#include "backend/slirp_library.hpp"

#include "base/shared_library.hpp"

namespace vmm::backend::slirp {
namespace {

Library load() {
  const base::SharedLibrary library(
      "libslirp.so.0", "user-mode networking needs libslirp",
      "install libslirp0 (Debian, Ubuntu) or libslirp (Fedora, Arch)");
  Library found{};
  library.resolve("slirp_new", found.create);
  library.resolve("slirp_cleanup", found.cleanup);
  library.resolve("slirp_pollfds_fill", found.pollfds_fill);
  library.resolve("slirp_pollfds_poll", found.pollfds_poll);
  library.resolve("slirp_input", found.input);
  library.resolve("slirp_add_hostfwd", found.add_hostfwd);
  return found;
}

}  // namespace

const Library& library() {
  static const Library loaded = load();  // after an exception the next call tries again
  return loaded;
}

}  // namespace vmm::backend::slirp
