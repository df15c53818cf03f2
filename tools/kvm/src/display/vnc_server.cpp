// SPDX-License-Identifier: GPL-2.0-only
#include "display/vnc_server.hpp"

#include <sys/select.h>

#include <utility>

#include "base/error.hpp"
#include "base/signals.hpp"
#include "display/vnc_library.hpp"

namespace vmm::display {
namespace {

// How often a watched screen is looked at.
constexpr long kStepUs = 20'000;
// How long a viewer may take to read what it is sent before it is let go.
constexpr int kMaxViewerWaitMs = 2'000;
constexpr int kBitsPerColour = 8;
constexpr int kColours = 3;

}  // namespace

struct VncServer::Rfb {
  explicit Rfb(VncServer& server, const std::string& title) : name(title) {
    const Geometry size = server.screen_.geometry();
    api.log_enable(FALSE);
    screen = api.get_screen(nullptr, nullptr, static_cast<int>(size.width),
                            static_cast<int>(size.height), kBitsPerColour, kColours, kPixelBytes);
    if (screen == nullptr) throw base::ConfigError("libvncserver made no screen of that size");
    screen->frameBuffer = reinterpret_cast<char*>(server.screen_.pixels().data());
    screen->serverFormat.redShift = 16;
    screen->serverFormat.greenShift = 8;
    screen->serverFormat.blueShift = 0;
    screen->desktopName = name.c_str();
    screen->cursor = nullptr;  // the guest draws its own
    screen->alwaysShared = TRUE;
    screen->port = screen->ipv6port = screen->httpPort = screen->http6Port = 0;
    screen->maxClientWait = kMaxViewerWaitMs;
    screen->screenData = &server;
    screen->kbdAddEvent = [](rfbBool down, rfbKeySym keysym, rfbClientRec* client) {
      server_of(client).listener_.key(keysym, down != FALSE);
    };
    screen->ptrAddEvent = [](int buttons, int x, int y, rfbClientRec* client) {
      server_of(client).listener_.pointer(static_cast<uint32_t>(x), static_cast<uint32_t>(y),
                                          static_cast<uint32_t>(buttons));
    };
    screen->newClientHook = [](rfbClientRec* client) {
      ++server_of(client).viewers_;
      client->clientGoneHook = [](rfbClientRec* gone) { --server_of(gone).viewers_; };
      return RFB_CLIENT_ACCEPT;
    };
    api.init_sockets(screen);
  }
  ~Rfb() {
    api.shutdown_server(screen, TRUE);
    screen->frameBuffer = nullptr;  // not the library's to free
    api.screen_cleanup(screen);
  }
  Rfb(const Rfb&) = delete;
  Rfb& operator=(const Rfb&) = delete;

  static VncServer& server_of(const rfbClientRec* client) {
    return *static_cast<VncServer*>(client->screen->screenData);
  }

  const vnc::Library& api = vnc::library();
  const std::string name;
  rfbScreenInfo* screen = nullptr;
};

VncServer::VncServer(Screen& screen, InputListener& listener, const std::string& title)
    : screen_(screen), listener_(listener), rfb_(std::make_unique<Rfb>(*this, title)) {
  thread_ = std::thread([this] { run(); });
}

VncServer::~VncServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void VncServer::add_viewer(base::UniqueFd socket) {
  const std::lock_guard lock(mutex_);
  new_viewers_.push_back(std::move(socket));
  changed_.notify_all();
}

void VncServer::run() {
  base::block_signals();  // SIGPIPE too: a viewer that has gone is an error of write()
  while (wait_for_viewers()) {
    watch(viewers_ > 0);
    if (viewers_ == 0) continue;  // it did not speak VNC
    show_changes();
    rfb_->api.process_events(rfb_->screen, kStepUs);
    watch(viewers_ > 0);
  }
  rfb_.reset();
}

void VncServer::watch(bool watched) {
  if (watched != watched_) screen_.watch(watched);
  watched_ = watched;
}

bool VncServer::wait_for_viewers() {
  std::vector<base::UniqueFd> arrived;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || viewers_ > 0 || !new_viewers_.empty(); });
    if (stopping_) return false;
    arrived = std::exchange(new_viewers_, {});
  }
  for (base::UniqueFd& socket : arrived) adopt(std::move(socket));
  return true;
}

void VncServer::adopt(base::UniqueFd socket) {
  // The library waits by select(), which knows no larger ones. What it takes it also closes.
  if (socket.get() >= FD_SETSIZE) return;
  rfb_->api.new_client(rfb_->screen, socket.release());
}

void VncServer::show_changes() {
  const auto width = static_cast<int>(screen_.geometry().width);
  for (const Rows& rows : screen_.changed_rows()) {
    rfb_->api.mark_rect_as_modified(rfb_->screen, 0, static_cast<int>(rows.first), width,
                                    static_cast<int>(rows.end));
  }
}

}  // namespace vmm::display
