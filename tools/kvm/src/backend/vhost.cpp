// SPDX-License-Identifier: GPL-2.0-only
#include "backend/vhost.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

#include "backend/vhost_abi.hpp"
#include "base/error.hpp"

namespace vmm::backend {
namespace {

base::UniqueFd open_device(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) {
    throw base::ConfigError(path + ": " + std::strerror(errno) +
                            "; leave out vhost, or load the host's module and get permission");
  }
  return file;
}

base::UniqueFd make_event() {
  return base::UniqueFd(base::check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
}

}  // namespace

Vhost::Vhost(base::EventLoop& loop, const memory::GuestMemory& memory, const std::string& path,
             uint16_t rings, Events events)
    : loop_(loop), memory_(memory), file_(open_device(path)) {
  base::check(ioctl(fd(), VHOST_SET_OWNER), "VHOST_SET_OWNER");
  base::check(ioctl(fd(), VHOST_GET_FEATURES, &features_), "VHOST_GET_FEATURES");
  share_memory();
  for (uint16_t ring = 0; ring < rings; ++ring) {
    const auto connect = [&](unsigned long number, const char* name, int event) {
      vhost_vring_file file{ring, event};
      base::check(ioctl(fd(), number, &file), name);
    };
    kicks_.push_back(make_event());
    connect(VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", kicks_.back().get());
    const auto add_line = [&](const std::function<void(uint16_t)>& tell) {
      lines_.push_back(std::make_unique<base::EventSource>(loop_, [tell, ring] { tell(ring); }));
      return lines_.back()->fd();
    };
    connect(VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL", add_line(events.used));
    connect(VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR", add_line(events.broken));
  }
}

Vhost::~Vhost() = default;

// Shares all of the guest's RAM and nothing else: vhost only accesses memory in the table.
void Vhost::share_memory() {
  const auto regions = memory_.regions();
  // struct vhost_memory ends in a flexible array, which ISO C++ cannot have.
  std::vector<std::byte> storage(sizeof(vhost_memory) +
                                 regions.size() * sizeof(vhost_memory_region));
  auto* table = new (storage.data()) vhost_memory{};
  table->nregions = static_cast<uint32_t>(regions.size());
  std::byte* place = storage.data() + sizeof(vhost_memory);
  for (const memory::Region& region : regions) {
    vhost_memory_region entry{};
    entry.guest_phys_addr = region.start.value;
    entry.memory_size = region.length;
    entry.userspace_addr = reinterpret_cast<uintptr_t>(region.host);
    std::memcpy(place, &entry, sizeof entry);
    place += sizeof entry;
  }
  base::check(ioctl(fd(), VHOST_SET_MEM_TABLE, table), "VHOST_SET_MEM_TABLE");
}

bool Vhost::set_features(uint64_t negotiated) {
  const uint64_t known = negotiated & features_;
  return ioctl(fd(), VHOST_SET_FEATURES, &known) == 0;
}

bool Vhost::set_ring(uint16_t ring, const VhostRing& place) {
  const auto host = [this](memory::GuestAddress address) {
    const auto part = memory_.slice(address, 1);
    assert(part);
    return reinterpret_cast<uintptr_t>(part->data());
  };
  vhost_vring_state size{ring, place.size};
  vhost_vring_state base{ring, 0};
  vhost_vring_addr addresses{};
  addresses.index = ring;
  addresses.desc_user_addr = host(place.descriptors);
  addresses.avail_user_addr = host(place.available);
  addresses.used_user_addr = host(place.used);
  return ioctl(fd(), VHOST_SET_VRING_NUM, &size) == 0 &&
         ioctl(fd(), VHOST_SET_VRING_BASE, &base) == 0 &&
         ioctl(fd(), VHOST_SET_VRING_ADDR, &addresses) == 0;
}

void Vhost::kick(uint16_t ring) {
  // This fails only if the counter is at its limit, and then the eventfd is readable anyway.
  static_cast<void>(eventfd_write(kicks_[ring].get(), 1));
}

}  // namespace vmm::backend
