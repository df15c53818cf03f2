// SPDX-License-Identifier: GPL-2.0-only
#include "machine/build/share.hpp"

#include <sys/resource.h>

#include "base/error.hpp"
#include "ninep/share.hpp"
#include "virtio/device/ninep.hpp"

namespace vmm::machine {
namespace {

// A guest's kernel keeps a descriptor of the VMM open for each cached name, tens of thousands in a
// kernel tree; the usual soft limit is meant for programs that use select(2).
void raise_descriptor_limit() {
  constexpr rlim_t kEnough = 1 << 20;
  rlimit limit{};
  base::check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit(RLIMIT_NOFILE)");
  if (limit.rlim_cur >= kEnough) return;
  // Only root may exceed the hard limit.
  const rlimit most{kEnough, kEnough > limit.rlim_max ? kEnough : limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &most) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  base::check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit(RLIMIT_NOFILE)");
}

}  // namespace

std::unique_ptr<virtio::Device> open_share(const ShareConfig& share) {
  raise_descriptor_limit();
  return std::make_unique<virtio::Ninep>(ninep::Share(share.path, share.read_only), share.tag);
}

}  // namespace vmm::machine
