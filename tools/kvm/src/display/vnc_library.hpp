// SPDX-License-Identifier: GPL-2.0-only
//
// libvncserver, loaded when a machine first needs it: it depends on a dozen other libraries, which
// other machines should not wait for. Its own header, of the same version, declares it. Any thread.
#pragma once

#include <rfb/rfb.h>

namespace vmm::display::vnc {

struct Library {
  decltype(&rfbGetScreen) get_screen;
  decltype(&rfbInitSockets) init_sockets;
  decltype(&rfbShutdownServer) shutdown_server;
  decltype(&rfbScreenCleanup) screen_cleanup;
  decltype(&rfbNewClient) new_client;
  decltype(&rfbProcessEvents) process_events;
  decltype(&rfbMarkRectAsModified) mark_rect_as_modified;
  decltype(&rfbLogEnable) log_enable;
  decltype(&rfbCheckPasswordByList) check_password_by_list;
};

// Throws base::ConfigError, saying what to install, when the library or a part of it is missing.
const Library& library();

}  // namespace vmm::display::vnc
