// SPDX-License-Identifier: GPL-2.0-only
#include "backend/tap_interface.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/error.hpp"

namespace vmm::backend {
namespace {

constexpr const char* kDevice = "/dev/net/tun";

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return request;
}

[[noreturn]] void fail(const std::string& name, int error, const std::string& fix) {
  throw base::ConfigError("tap " + name + ": " + std::strerror(error) + "; " + fix);
}

std::string how_to_make(const std::string& name, bool multi) {
  return "ip tuntap add " + name + " mode tap" + (multi ? " multi_queue" : "") + " user $USER";
}

base::UniqueFd open_device(const std::string& name) {
  base::UniqueFd file(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (file) return file;
  const int error = errno;
  fail(name, error,
       error == ENOENT || error == ENODEV || error == ENXIO
           ? std::string("there is no ") + kDevice + ": load the module tun (CONFIG_TUN)"
           : std::string("make ") + kDevice + " readable and writable for this user");
}

std::string mend_for(int error, const std::string& name, bool multi) {
  switch (error) {
    case EPERM:
      return "let root make it for this user: " + how_to_make(name, multi);
    case EBUSY:
      return "another program has it open; choose another name";
    case EINVAL:
      return multi ? "it was made without multi_queue; make it anew: " + how_to_make(name, true)
                   : "it is not a plain tap device; make one: " + how_to_make(name, false);
    default:
      return "check the name";
  }
}

base::UniqueFd open_queue(const std::string& name, bool multi) {
  base::UniqueFd file = open_device(name);
  ifreq request = request_for(name);
  request.ifr_flags =
      static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi ? IFF_MULTI_QUEUE : 0));
  if (ioctl(file.get(), TUNSETIFF, &request) < 0) {
    const int error = errno;
    fail(name, error, mend_for(error, name, multi));
  }
  return file;
}

base::UniqueFd any_socket() {
  return base::UniqueFd(base::check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
}

void put_address(ifreq& request, in_addr address) {
  sockaddr_in whole{};
  whole.sin_family = AF_INET;
  whole.sin_addr = address;
  std::memcpy(&request.ifr_addr, &whole, sizeof whole);
}

}  // namespace

std::vector<base::UniqueFd> open_tap(const std::string& name, uint16_t queue_pairs) {
  if (name.empty() || name.size() >= IFNAMSIZ || name.find('/') != std::string::npos) {
    throw base::ConfigError("tap '" + name + "': no name of an interface; use 1 to " +
                            std::to_string(IFNAMSIZ - 1) + " characters");
  }
  std::vector<base::UniqueFd> files;
  while (files.size() < queue_pairs) files.push_back(open_queue(name, queue_pairs > 1));
  return files;
}

TapIdentity identify_tap(int file) {
  ifreq request{};
  if (ioctl(file, TUNGETIFF, &request) < 0) {
    throw base::ConfigError("file " + std::to_string(file) + " is no tap device; open " + kDevice +
                            " and call TUNSETIFF first");
  }
  constexpr int kNeeded = IFF_TAP | IFF_VNET_HDR | IFF_NO_PI;
  if ((request.ifr_flags & kNeeded) != kNeeded) {
    throw base::ConfigError(std::string("tap ") + request.ifr_name +
                            ": open it with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR");
  }
  return {request.ifr_name, (request.ifr_flags & IFF_MULTI_QUEUE) != 0};
}

void bring_up(const std::string& name) {
  const base::UniqueFd socket = any_socket();
  ifreq request = request_for(name);
  if (ioctl(socket.get(), SIOCGIFFLAGS, &request) < 0 || (request.ifr_flags & IFF_UP)) return;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  static_cast<void>(ioctl(socket.get(), SIOCSIFFLAGS, &request));
}

void set_address(const std::string& name, const std::string& address) {
  const size_t slash = address.find('/');
  const std::string length = slash == std::string::npos ? "24" : address.substr(slash + 1);
  in_addr host{};
  uint32_t bits = 33;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (inet_pton(AF_INET, address.substr(0, slash).c_str(), &host) != 1 || error != std::errc{} ||
      end != length.data() + length.size() || bits > 32) {
    throw base::ConfigError("tap " + name + ": " + address +
                            " is no IPv4 address; write it like 192.168.7.1/24");
  }
  const base::UniqueFd socket = any_socket();
  ifreq request = request_for(name);
  put_address(request, host);
  const in_addr mask{htonl(bits == 0 ? 0 : ~uint32_t{0} << (32 - bits))};
  if (ioctl(socket.get(), SIOCSIFADDR, &request) == 0) {
    put_address(request, mask);
    if (ioctl(socket.get(), SIOCSIFNETMASK, &request) == 0) return;
  }
  const int failed = errno;
  fail(name, failed, "let root give it its address: ip addr add " + address + " dev " + name);
}

}  // namespace vmm::backend
