// SPDX-License-Identifier: GPL-2.0-only
#include "base/descriptor_reserve.hpp"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace vmm::base {

bool is_reserved_descriptor(int fd) {
  constexpr rlim_t kReserve = kReservedDescriptors;
  rlimit limit{};
  check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit(RLIMIT_NOFILE)");
  const rlim_t all = limit.rlim_cur;
  return static_cast<rlim_t>(fd) >= (all > 2 * kReserve ? all - kReserve : all / 2);
}

bool has_spare_descriptor() {
  const UniqueFd probe(eventfd(0, EFD_CLOEXEC));
  return probe && !is_reserved_descriptor(probe.get());
}

}  // namespace vmm::base
