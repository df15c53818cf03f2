// SPDX-License-Identifier: GPL-2.0-only
#include "display/vnc_server.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/error.hpp"
#include "base/signals.hpp"
#include "display/vnc_library.hpp"

namespace vmm::display {
namespace {

// The period of checking a watched screen for changes.
constexpr long kStepUs = 20'000;
// The time that a viewer may take to read data before it is disconnected.
constexpr int kMaxViewerWaitMs = 2'000;
constexpr int kBitsPerColour = 8;
constexpr int kColours = 3;

}  // namespace

struct VncServer::Rfb {
  Rfb(VncServer& server, const std::string& title, const std::string& secret)
      : name(title), password(secret), passwords{password.data(), nullptr} {
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
    screen->permitFileTransfer = FALSE;
    if (!password.empty()) {
      screen->authPasswdData = passwords.data();
      screen->authPasswdFirstViewOnly = 1;  // from the second password on, viewers could only watch
      screen->passwordCheck = api.check_password_by_list;
    }
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
    screen->frameBuffer = nullptr;  // the library must not free it
    api.screen_cleanup(screen);
  }
  Rfb(const Rfb&) = delete;
  Rfb& operator=(const Rfb&) = delete;

  static VncServer& server_of(const rfbClientRec* client) {
    return *static_cast<VncServer*>(client->screen->screenData);
  }

  const vnc::Library& api = vnc::library();
  const std::string name;
  std::string password;
  std::array<char*, 2> passwords;
  rfbScreenInfo* screen = nullptr;
};

VncServer::VncServer(Screen& screen, InputListener& listener, const std::string& title,
                     const std::string& password)
    : screen_(screen), listener_(listener) {
  if (password.size() > kMaxPasswordBytes) {
    throw base::ConfigError("VNC passwords have up to " + std::to_string(kMaxPasswordBytes) +
                            " characters; shorten this one");
  }
  rfb_ = std::make_unique<Rfb>(*this, title, password);
  keep_seats();
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
  if (new_viewers_.size() >= kMaxViewers) return;
  new_viewers_.push_back(std::move(socket));
  changed_.notify_all();
}

void VncServer::run() {
  base::block_signals();  // SIGPIPE too: write() then reports a lost viewer as an error
  while (wait_for_viewers()) {
    keep_seats();
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
  for (const base::UniqueFd& socket : arrived) adopt(socket);
  return true;
}

void VncServer::adopt(const base::UniqueFd& socket) {
  if (seats_.empty()) return;
  const int seat = seats_.back().release();
  seats_.pop_back();
  if (dup3(socket.get(), seat, O_CLOEXEC) < 0) {
    close(seat);
    return;
  }
  // The library closes it with the viewer, or at once if the peer does not speak VNC.
  rfb_->api.new_client(rfb_->screen, seat);
}

// Reserves again the descriptors of viewers that have left: they are the lowest free ones if all
// others are taken.
void VncServer::keep_seats() {
  while (viewers_ + seats_.size() < kMaxViewers) {
    base::UniqueFd seat(eventfd(0, EFD_CLOEXEC));
    if (!seat || seat.get() >= FD_SETSIZE) return;
    seats_.push_back(std::move(seat));
  }
}

void VncServer::show_changes() {
  const auto width = static_cast<int>(screen_.geometry().width);
  for (const Rows& rows : screen_.changed_rows()) {
    rfb_->api.mark_rect_as_modified(rfb_->screen, 0, static_cast<int>(rows.first), width,
                                    static_cast<int>(rows.end));
  }
}

}  // namespace vmm::display
