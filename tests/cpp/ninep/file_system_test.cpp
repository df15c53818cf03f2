// SPDX-License-Identifier: GPL-2.0-only
//
// A share spans the file systems below it, except those that expose the host's kernel: a hostile
// guest tries every way to /proc/self/mem, the memory of its VMM.
#include "ninep/file_system.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "mock_client.hpp"

namespace vmm::test {
namespace {

using ninep::Type;
constexpr uint32_t kRoot = MockClient::kRoot;
constexpr uint32_t kGid = ninep::kNoId;

bool holds_files(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  REQUIRE(fd);
  const auto found = ninep::file_system_of(fd.get());
  REQUIRE(std::holds_alternative<ninep::FileSystem>(found));
  return std::get<ninep::FileSystem>(found).holds_files;
}

// The root of this machine, writable where the tests' user can write.
struct WholeMachine {
  const bool writable = access("/", W_OK) == 0;
  MockClient client{"/", !writable};

  WholeMachine() { client.start(); }
  // The error for a change of a closed place, or through one.
  int refusal() const { return writable ? EACCES : EROFS; }
};

std::string refusal_to_share(const std::string& path) {
  try {
    const ninep::Share share(path, true);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("file systems of files are told from those of the kernel") {
  const Folder folder;
  CHECK(holds_files(folder.share().string()));
  CHECK(holds_files("/"));
  CHECK(holds_files("/dev"));
  CHECK_FALSE(holds_files("/proc"));
  CHECK_FALSE(holds_files("/proc/self/mem"));
  CHECK_FALSE(holds_files("/proc/self/ns/mnt"));
  CHECK_FALSE(holds_files("/sys"));
  if (std::filesystem::exists("/dev/pts/ptmx")) CHECK_FALSE(holds_files("/dev/pts"));
}

TEST_CASE("a 9p mount is told by what its server has") {
  for (const uint32_t type : {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, TMPFS_MAGIC, V9FS_MAGIC}) {
    CAPTURE(type);
    CHECK(ninep::is_type_of_files(type));
  }
  for (const uint32_t type : {PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
                              DEVPTS_SUPER_MAGIC, NSFS_MAGIC, CGROUP2_SUPER_MAGIC, 0}) {
    CAPTURE(type);
    CHECK_FALSE(ninep::is_type_of_files(type));
  }
}

TEST_CASE("a folder of the kernel's is not shared, and the user is told why") {
  for (const char* path : {"/proc", "/proc/self", "/sys/kernel"}) {
    CAPTURE(path);
    const std::string refusal = refusal_to_share(path);
    CHECK(refusal.find(std::string("share ") + path + ": its file system (type 0x") == 0);
    CHECK(refusal.find("share a folder that holds files") != std::string::npos);
  }
  CHECK(refusal_to_share("/").empty());
}

TEST_CASE_FIXTURE(WholeMachine, "the place where proc is mounted can be looked at, no more") {
  REQUIRE(client.walk(kRoot, 1, {"proc"}).error == 0);
  CHECK(client.call(Type::kGetattr, 1U, ~0ULL).error == 0);
  CHECK(client.call(Type::kStatfs, 1U).error == 0);
  REQUIRE(client.walk(1, 2, {}).error == 0);
  for (const uint32_t fid : {1U, 2U}) {
    CAPTURE(fid);
    CHECK(client.walk(fid, 3, {"self"}).error == EACCES);
    CHECK(client.call(Type::kLopen, fid, uint32_t{O_RDONLY}).error == EACCES);
    CHECK(client.call(Type::kReaddir, fid, uint64_t{0}, 4096U).error == EBADF);
  }
}

TEST_CASE_FIXTURE(WholeMachine, "no walk leads to the memory of the VMM") {
  const std::string process = std::to_string(getpid());
  for (const std::string& name : {std::string("self"), std::string("thread-self"), process}) {
    CAPTURE(name);
    CHECK(client.walk(kRoot, 1, {"proc", name, "mem"}).at<uint16_t>(0) == 1);
    CHECK(client.call(Type::kLopen, 1U, uint32_t{O_RDONLY}).error == EBADF);
  }
  CHECK(client.walk(kRoot, 1, {"sys", "kernel"}).at<uint16_t>(0) == 1);
  CHECK(client.walk(kRoot, 1, {"dev", "pts", "ptmx"}).at<uint16_t>(0) < 3);
}

TEST_CASE("no symbolic link leads to the memory of the VMM") {
  const Folder folder;
  std::filesystem::create_symlink("/proc/self/mem", folder.at("mem"));
  std::filesystem::create_directory_symlink("/proc/self/fd", folder.at("fds"));
  MockClient client(folder);
  client.start();
  REQUIRE(client.walk(kRoot, 1, {"mem"}).error == 0);
  CHECK(client.call(Type::kLopen, 1U, uint32_t{O_RDWR}).error == ELOOP);
  CHECK(client.walk(kRoot, 2, {"fds", "0"}).at<uint16_t>(0) == 1);
  // The guest can make a link to any target.
  CHECK(client.call(Type::kSymlink, kRoot, std::string("own"), std::string("/proc/self/mem"), kGid)
            .error == 0);
  REQUIRE(client.walk(kRoot, 3, {}).error == 0);
  CHECK(client.call(Type::kLcreate, 3U, std::string("own"), uint32_t{O_RDWR}, 0600U, kGid).error ==
        ELOOP);
}

TEST_CASE_FIXTURE(WholeMachine, "nothing is made, moved or changed through a closed place") {
  REQUIRE(client.walk(kRoot, 1, {"proc"}).error == 0);
  const std::string name = "made-by-a-guest";
  for (const char* there : {"self", "version", "made-by-a-guest"}) {
    CAPTURE(there);
    const uint32_t flags = O_RDWR;
    CHECK(client.call(Type::kLcreate, 1U, std::string(there), flags, 0600U, kGid).error ==
          refusal());
  }
  CHECK(client.call(Type::kMkdir, 1U, name, 0700U, kGid).error == refusal());
  CHECK(client.call(Type::kSymlink, 1U, name, std::string("x"), kGid).error == refusal());
  CHECK(client.call(Type::kMknod, 1U, name, uint32_t{S_IFIFO | 0600}, 0U, 0U, kGid).error ==
        refusal());
  CHECK(client.call(Type::kUnlinkat, 1U, std::string("version"), 0U).error == refusal());
  CHECK(client.call(Type::kLink, kRoot, 1U, name).error == refusal());
  CHECK(client.call(Type::kLink, 1U, kRoot, name).error == refusal());
  CHECK(client.call(Type::kRenameat, kRoot, name, 1U, name).error == refusal());
  CHECK(client.call(Type::kRenameat, 1U, std::string("version"), kRoot, name).error == refusal());
  CHECK(client.setattr(1, ninep::kSetMode, 0555, 0).error == refusal());
  CHECK(client.setattr(1, ninep::kSetSize, 0, 0).error == refusal());
  CHECK(client.setattr(1, ninep::kSetMtime, 0, 0).error == refusal());
  CHECK_FALSE(std::filesystem::exists("/" + name));
}

TEST_CASE_FIXTURE(WholeMachine, "file systems of files are part of what they are mounted in") {
  // On every machine /dev is a separate file system, where only attributes are read.
  REQUIRE(client.walk(kRoot, 1, {"dev"}).error == 0);
  REQUIRE(client.walk(1, 2, {"null"}).error == 0);
  CHECK(client.call(Type::kLopen, 2U, uint32_t{O_RDONLY}).error == ENXIO);
  CHECK(client.call(Type::kLopen, 1U, uint32_t{O_RDONLY}).error == 0);
  CHECK(client.call(Type::kReaddir, 1U, uint64_t{0}, 4096U).error == 0);
  if (!std::filesystem::exists("/dev/shm")) return;
  REQUIRE(client.walk(kRoot, 3, {"dev", "shm"}).at<uint16_t>(0) == 2);
  CHECK(client.call(Type::kLopen, 3U, uint32_t{O_RDONLY}).error == 0);
}

}  // namespace vmm::test
