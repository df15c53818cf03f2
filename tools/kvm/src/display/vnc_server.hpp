// SPDX-License-Identifier: GPL-2.0-only
//
// Shows a screen to VNC viewers (RFB, RFC 6143) by libvncserver, on a thread of its own. It listens
// nowhere: viewers' connections are given to it as sockets. While none is there it sleeps. machine/
// owns it, and the screen and the listener, which outlive it.
//
// The library waits for its viewers by select(2), which knows no descriptor from 1024 on. A guest's
// open files can take all below, so the server holds a seat for each viewer from the start.
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
  // VNC's own way of asking for one (RFC 6143, 7.2.2) looks at no more.
  static constexpr size_t kMaxPasswordBytes = 8;

  // Viewers have to know the password, unless it is empty. Throws base::ConfigError without the
  // library, or for a password that is too long.
  VncServer(Screen& screen, InputListener& listener, const std::string& title,
            const std::string& password = "");
  ~VncServer();
  VncServer(const VncServer&) = delete;
  VncServer& operator=(const VncServer&) = delete;

  // A viewer's connection, a stream socket; closed if there are too many. On any thread.
  void add_viewer(base::UniqueFd socket);

  // How many there are.
  size_t viewers() const { return viewers_; }

 private:
  struct Rfb;  // the library's, which no one else need see

  void run();
  // False at the end.
  bool wait_for_viewers();
  void watch(bool watched);
  void adopt(const base::UniqueFd& socket);
  void keep_seats();
  void show_changes();

  Screen& screen_;
  InputListener& listener_;
  std::unique_ptr<Rfb> rfb_;  // the thread's, once it runs
  bool watched_ = false;      // these too
  std::vector<base::UniqueFd> seats_;
  std::atomic<size_t> viewers_ = 0;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<base::UniqueFd> new_viewers_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vmm::display
