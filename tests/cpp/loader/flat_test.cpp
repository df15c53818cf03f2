// SPDX-License-Identifier: GPL-2.0-only
#include "loader/flat.hpp"

#include <doctest/doctest.h>

#include "temporary_file.hpp"

namespace vmm::loader {

TEST_CASE("flat code is loaded where it starts, whatever it is") {
  const std::vector<std::byte> code = {std::byte{0xf4}, std::byte{0x90}};
  const test::TemporaryFile file(code);
  memory::GuestMemory memory(32 << 20);
  const LoadedKernel kernel = load_flat(memory, ImageFile("kernel", file.path()));
  CHECK(kernel.protocol == Protocol::kFlat);
  CHECK(kernel.entry == 0x10000);
  CHECK(memory.read_object<uint16_t>(memory::GuestAddress{0x10000}) == 0x90f4);
}

TEST_CASE("flat code that does not fit below 640 KiB is refused") {
  const test::TemporaryFile file(std::vector<std::byte>(600 << 10));
  const std::string message = test::failure_of([&] {
    memory::GuestMemory memory(32 << 20);
    load_flat(memory, ImageFile("kernel", file.path()));
  });
  CHECK(test::contains(message, "too large"));
}

}  // namespace vmm::loader
