// SPDX-License-Identifier: GPL-2.0-only
//
// libslirp, loaded when a machine first needs it: neither building the VMM nor any other machine
// requires it. Declares the part of its ABI (soname libslirp.so.0, configuration version 1) that
// UserNet uses; a test compares it with the library's header where that is installed. Any thread.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace vmm::backend::slirp {

struct Stack;  // opaque

inline constexpr int kPollIn = 1 << 0;
inline constexpr int kPollOut = 1 << 1;
inline constexpr int kPollPriority = 1 << 2;
inline constexpr int kPollError = 1 << 3;
inline constexpr int kPollHangUp = 1 << 4;

using TimerCallback = void (*)(void* argument);
using AddPoll = int (*)(int fd, int events, void* opaque);
using GetEvents = int (*)(int index, void* opaque);

struct Callbacks {
  ssize_t (*send_packet)(const void* frame, size_t length, void* opaque);
  void (*guest_error)(const char* message, void* opaque);
  int64_t (*clock_get_ns)(void* opaque);
  void* (*timer_new)(TimerCallback callback, void* argument, void* opaque);
  void (*timer_free)(void* timer, void* opaque);
  void (*timer_mod)(void* timer, int64_t expires_ms, void* opaque);
  void (*register_poll_fd)(int fd, void* opaque);
  void (*unregister_poll_fd)(int fd, void* opaque);
  void (*notify)(void* opaque);
  // From version 4 on; not called for version 1. They reserve space that a library may copy.
  void (*init_completed)(Stack* stack, void* opaque);
  void* (*timer_new_opaque)(int id, void* argument, void* opaque);
};

inline constexpr uint32_t kConfigVersion = 1;

struct Config {
  uint32_t version;
  int restricted;
  bool in_enabled;
  in_addr vnetwork;
  in_addr vnetmask;
  in_addr vhost;
  bool in6_enabled;
  in6_addr vprefix_addr6;
  uint8_t vprefix_len;
  in6_addr vhost6;
  const char* vhostname;
  const char* tftp_server_name;
  const char* tftp_path;
  const char* bootfile;
  in_addr vdhcp_start;
  in_addr vnameserver;
  in6_addr vnameserver6;
  const char** vdnssearch;
  const char* vdomainname;
  size_t if_mtu;
  size_t if_mru;
  bool disable_host_loopback;
  bool enable_emu;
};

struct Library {
  Stack* (*create)(const Config* config, const Callbacks* callbacks, void* opaque);
  void (*cleanup)(Stack* stack);
  void (*pollfds_fill)(Stack* stack, uint32_t* timeout_ms, AddPoll add, void* opaque);
  void (*pollfds_poll)(Stack* stack, int select_error, GetEvents get, void* opaque);
  void (*input)(Stack* stack, const uint8_t* frame, int length);
  int (*add_hostfwd)(Stack* stack, int is_udp, in_addr host, int host_port, in_addr guest,
                     int guest_port);
};

// Throws base::ConfigError, saying what to install, when the library or a part of it is missing.
const Library& library();

}  // namespace vmm::backend::slirp
