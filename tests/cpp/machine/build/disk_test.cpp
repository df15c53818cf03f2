// SPDX-License-Identifier: GPL-2.0-only
#include "machine/build/disk.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "base/error.hpp"
#include "temporary_folder.hpp"

namespace vmm::machine {
namespace {

struct Fixture {
  std::string put(const std::string& name, std::string content) const {
    content.resize(64 * 1024);
    std::ofstream(folder / name, std::ios::binary) << content;
    return folder / name;
  }
  std::string error(const DiskConfig& disk) {
    try {
      open_disk(loop, disk);
    } catch (const base::ConfigError& error) {
      return error.what();
    }
    return "";
  }

  base::EventLoop loop;
  test::TemporaryFolder folder;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an image is no raw disk unless somebody says so") {
  const std::string qcow2 = put("a.img", std::string("QFI\xfb\0\0\0\3", 8));
  const std::string vhdx = put("b", "vhdxfile");
  DiskConfig disk{.path = qcow2};
  CHECK(contains(error(disk), "disk " + qcow2 + ": holds a qcow2 image; attach it with ,qcow2"));
  disk.path = vhdx;
  disk.read_only = true;
  CHECK(contains(error(disk), "holds a VHDX image; make a raw one"));
  CHECK(contains(error(disk), "or write ,raw"));
  disk.format_said = true;
  CHECK(error(disk).empty());
  disk.path = qcow2;
  CHECK(error(disk).empty());
}

TEST_CASE_FIXTURE(Fixture, "everything else is a raw disk, an empty file too") {
  CHECK(error({.path = put("plain", "MBR")}).empty());
  std::ofstream(folder / "empty");
  CHECK(error({.path = folder / "empty"}).empty());
}

TEST_CASE_FIXTURE(Fixture, "a path that would block is refused by what it is") {
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  DiskConfig disk{.path = folder / "fifo"};
  CHECK(contains(error(disk), "is a FIFO"));
  disk.read_only = true;
  CHECK(contains(error(disk), "is a FIFO"));
  disk.format = DiskFormat::kQcow2;
  CHECK(contains(error(disk), "is a FIFO"));
}

}  // namespace vmm::machine
