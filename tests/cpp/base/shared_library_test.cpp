// SPDX-License-Identifier: GPL-2.0-only
#include "base/shared_library.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "base/error.hpp"

namespace vmm::base {

TEST_CASE("a function is found in a library") {
  const SharedLibrary mathematics("libm.so.6", "this needs libm", "install libc6");
  double (*found)(double) = nullptr;
  mathematics.resolve("cbrt", found);
  CHECK(found(27.0) == doctest::Approx(std::cbrt(27.0)));
  CHECK_THROWS_WITH_AS(mathematics.resolve("no_such_function", found),
                       "this needs libm: libm.so.6 has no no_such_function; install libc6",
                       ConfigError);
}

TEST_CASE("what is not there is said with who wants it and how to have it") {
  CHECK_THROWS_WITH_AS(SharedLibrary("libnone.so.0", "this needs libnone", "install none"),
                       doctest::Contains("this needs libnone: libnone.so.0: cannot open"),
                       ConfigError);
}

}  // namespace vmm::base
