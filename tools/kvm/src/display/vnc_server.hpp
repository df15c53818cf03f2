// SPDX-License-Identifier: GPL-2.0-only
//
// Shows a screen to VNC viewers (RFB, RFC 6143) by libvncserver, on its own thread. It does not
// listen: it gets viewers' connections as sockets. Without viewers it sleeps. machine/ owns it, and
// the screen and the listener, which outlive it.
//
// The library waits for its viewers by select(2), which supports only descriptors below 1024. A
// guest's open files can take all of them, so the server reserves one for each viewer at the start.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "display/screen.hpp"

namespace vmm::display {

class VncServer {
 public:
  static constexpr size_t kMaxViewers = 16;
  // VNC authentication (RFC 6143, 7.2.2) uses no more.
  static constexpr size_t kMaxPasswordBytes = 8;

  // Viewers need the password, unless it is empty. Throws base::ConfigError without the library, or
  // for a password that is too long.
  VncServer(Screen& screen, InputListener& listener, const std::string& title,
            const std::string& password = "");
  ~VncServer();
  VncServer(const VncServer&) = delete;
  VncServer& operator=(const VncServer&) = delete;

  // Adds a viewer's connection, a stream socket; closes it if there are too many. Any thread.
  void add_viewer(base::UniqueFd socket);

  // The number of connected viewers.
  size_t viewers() const { return viewers_; }

 private:
  struct Rfb;  // hides the library's types

  void run();
  // Returns false when the server is to end.
  bool wait_for_viewers();
  void watch(bool watched);
  void adopt(const base::UniqueFd& socket);
  void keep_seats();
  void show_changes();

  Screen& screen_;
  InputListener& listener_;
  std::unique_ptr<Rfb> rfb_;  // owned by the thread, once it runs
  bool watched_ = false;      // owned by the thread
  std::vector<base::UniqueFd> seats_;
  std::atomic<size_t> viewers_ = 0;
  std::mutex mutex_;  // guards the members below
  std::condition_variable changed_;
  std::vector<base::UniqueFd> new_viewers_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vmm::display
