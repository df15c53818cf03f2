// SPDX-License-Identifier: GPL-2.0-only
#include "backend/image_kind.hpp"

#include <doctest/doctest.h>

#include <string>

namespace vmm::test {
namespace {

std::string kind_of(const std::string& start) {
  return std::string(backend::image_kind(std::as_bytes(std::span(start))));
}

}  // namespace

TEST_CASE("images are known by their first bytes") {
  CHECK(kind_of(std::string("QFI\xfb\0\0\0\3", 8)) == "qcow2");
  CHECK(kind_of(std::string("QFI\xfb\0\0\0\1", 8)) == "qcow");
  CHECK(kind_of(std::string("KDMV\1\0\0\0", 8)) == "VMDK");
  CHECK(kind_of("# Disk DescriptorFile\nversion=1\n") == "VMDK");
  CHECK(kind_of("vhdxfile") == "VHDX");
  CHECK(kind_of("conectix") == "VHD");
  const std::string text = "<<< Oracle VM VirtualBox Disk Image >>>\n";
  CHECK(kind_of(text + std::string(64 - text.size(), '\0') + "\x7f\x10\xda\xbe") == "VDI");
}

TEST_CASE("what a disk holds is no image") {
  CHECK(kind_of("").empty());
  CHECK(kind_of("QFI").empty());
  CHECK(kind_of(std::string(4096, '\0')).empty());
  CHECK(kind_of(std::string("LUKS\xba\xbe", 6)).empty());
  CHECK(kind_of(" QFI\xfb").empty());
}

}  // namespace vmm::test
