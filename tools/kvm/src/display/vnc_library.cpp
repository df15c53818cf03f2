// SPDX-License-Identifier: GPL-2.0-only
#include "display/vnc_library.hpp"

#include "base/shared_library.hpp"

namespace vmm::display::vnc {
namespace {

Library load() {
  const base::SharedLibrary library(
      "libvncserver.so.1", "a VNC display needs libvncserver",
      "install libvncserver1 (Debian, Ubuntu) or libvncserver (Fedora, Arch)");
  Library found{};
  library.resolve("rfbGetScreen", found.get_screen);
  library.resolve("rfbInitSockets", found.init_sockets);
  library.resolve("rfbShutdownServer", found.shutdown_server);
  library.resolve("rfbScreenCleanup", found.screen_cleanup);
  library.resolve("rfbNewClient", found.new_client);
  library.resolve("rfbProcessEvents", found.process_events);
  library.resolve("rfbMarkRectAsModified", found.mark_rect_as_modified);
  library.resolve("rfbLogEnable", found.log_enable);
  library.resolve("rfbCheckPasswordByList", found.check_password_by_list);
  return found;
}

}  // namespace

const Library& library() {
  static const Library loaded = load();  // after an exception the next call tries again
  return loaded;
}

}  // namespace vmm::display::vnc
