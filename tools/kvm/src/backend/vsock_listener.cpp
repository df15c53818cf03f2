// SPDX-License-Identifier: GPL-2.0-only
#include "backend/vsock_listener.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace vmm::backend {
namespace {

constexpr int kBacklog = 64;
// PATH_4294967295 must fit too.
constexpr size_t kMaxPathBytes = sizeof(sockaddr_un::sun_path) - sizeof("_4294967295");

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

base::UniqueFd make_socket() {
  return base::UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

base::UniqueFd try_connect(const std::string& path) {
  base::UniqueFd client = make_socket();
  const sockaddr_un address = address_of(path);
  if (client && ::connect(client.get(), generic(address), sizeof address) == 0) return client;
  return {};
}

// Recognises a socket without a listener, which a killed VMM leaves behind. Connecting to a plain
// file fails with the same error, so the file type is checked as well.
bool is_stale(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) < 0 || !S_ISSOCK(info.st_mode)) return false;
  const base::UniqueFd client = make_socket();
  const sockaddr_un address = address_of(path);
  return client && ::connect(client.get(), generic(address), sizeof address) < 0 &&
         errno == ECONNREFUSED;
}

[[noreturn]] void fail(const std::string& path, int error) {
  const char* fix = error == EADDRINUSE ? "something is there already; remove it or choose another"
                    : error == ENOENT   ? "create its folder first"
                    : error == EACCES   ? "make its folder writable for this user"
                                        : "choose another path";
  throw base::ConfigError("vsock " + path + ": " + std::strerror(error) + "; " + fix);
}

}  // namespace

VsockListener::VsockListener(std::string path) : path_(std::move(path)) {
  if (path_.empty() || path_.size() > kMaxPathBytes) {
    throw base::ConfigError("vsock '" + path_ + "': a socket's path has 1 to " +
                            std::to_string(kMaxPathBytes) + " bytes; choose another");
  }
  socket_ = make_socket();
  base::check(socket_.get(), "socket(AF_UNIX)");
  const sockaddr_un address = address_of(path_);
  int bound = bind(socket_.get(), generic(address), sizeof address);
  if (bound < 0 && errno == EADDRINUSE && is_stale(path_)) {
    unlink(path_.c_str());
    bound = bind(socket_.get(), generic(address), sizeof address);
  }
  if (bound < 0) fail(path_, errno);
  if (listen(socket_.get(), kBacklog) < 0) {
    const int error = errno;
    unlink(path_.c_str());
    fail(path_, error);
  }
}

VsockListener::~VsockListener() { unlink(path_.c_str()); }

base::UniqueFd VsockListener::accept() {
  int fd;
  do {
    fd = accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return base::UniqueFd(fd);
}

base::UniqueFd VsockListener::connect(uint32_t port) const {
  return try_connect(path_ + "_" + std::to_string(port));
}

}  // namespace vmm::backend
