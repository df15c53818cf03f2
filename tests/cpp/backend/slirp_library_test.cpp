// SPDX-License-Identifier: GPL-2.0-only
#include "backend/slirp_library.hpp"

#include <doctest/doctest.h>

#if __has_include(<slirp/libslirp.h>)
#include <slirp/libslirp.h>
#endif

#include <string>

#include "base/error.hpp"

namespace vmm::test {

TEST_CASE("the library is found, or its absence says what to install") {
  try {
    const bool resolved = backend::slirp::library().create != nullptr;
    CHECK(resolved);
    CHECK(&backend::slirp::library() == &backend::slirp::library());
  } catch (const base::ConfigError& error) {
    CHECK(std::string(error.what()).find("install libslirp0") != std::string::npos);
  }
}

#if __has_include(<slirp/libslirp.h>)
TEST_CASE("our declarations are the library's") {
  using backend::slirp::Callbacks;
  using backend::slirp::Config;
  CHECK(offsetof(Config, vnetwork) == offsetof(SlirpConfig, vnetwork));
  CHECK(offsetof(Config, vprefix_len) == offsetof(SlirpConfig, vprefix_len));
  CHECK(offsetof(Config, vhostname) == offsetof(SlirpConfig, vhostname));
  CHECK(offsetof(Config, vnameserver6) == offsetof(SlirpConfig, vnameserver6));
  CHECK(offsetof(Config, vdomainname) == offsetof(SlirpConfig, vdomainname));
  CHECK(offsetof(Config, if_mru) == offsetof(SlirpConfig, if_mru));
  CHECK(offsetof(Config, enable_emu) == offsetof(SlirpConfig, enable_emu));
  CHECK(offsetof(Callbacks, timer_new) == offsetof(SlirpCb, timer_new));
  CHECK(offsetof(Callbacks, notify) == offsetof(SlirpCb, notify));
  CHECK(backend::slirp::kPollHangUp == SLIRP_POLL_HUP);
  CHECK(backend::slirp::kPollOut == SLIRP_POLL_OUT);
}
#endif

}  // namespace vmm::test
