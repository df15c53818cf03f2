// SPDX-License-Identifier: GPL-2.0-only
//
// A guest can't leave the share: not by "..", a symbolic link, a name with a slash, or a race.
#include "ninep/share.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/error.hpp"
#include "mock_client.hpp"

namespace vmm::test {
namespace {

using ninep::Type;
constexpr uint32_t kRoot = MockClient::kRoot;
constexpr uint32_t kGid = ninep::kNoId;

struct Fixture {
  Folder folder;
  MockClient client{folder};

  Fixture() {
    std::filesystem::create_directory(folder.at("dir"));
    client.start();
  }
};

std::string open_error(const std::string& path, bool read_only) {
  try {
    const ninep::Share share(path, read_only);
  } catch (const base::ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "dot-dot leads nowhere") {
  CHECK(client.walk(kRoot, 1, {"..", "..", ".."}).at<uint16_t>(0) == 3);
  CHECK(client.walk(1, 2, {"secret"}).error == ENOENT);
  CHECK(client.walk(kRoot, 3, {"dir", "..", "..", "secret"}).at<uint16_t>(0) == 1);
  CHECK(client.walk(kRoot, 3, {"dir"}).error == 0);
  CHECK(client.walk(3, 4, {".."}).error == EINVAL);
}

TEST_CASE_FIXTURE(Fixture, "names with a meaning are no names") {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../secret"),
        std::string("dir/../../secret"), std::string("/etc/passwd"), std::string("a\0b", 3)}) {
    CAPTURE(name);
    CHECK(client.call(Type::kMkdir, kRoot, name, 0700U, kGid).error == EINVAL);
    CHECK(client.call(Type::kSymlink, kRoot, name, std::string("x"), kGid).error == EINVAL);
    CHECK(client.call(Type::kUnlinkat, kRoot, name, 0x200U).error == EINVAL);
    CHECK(client.call(Type::kRenameat, kRoot, std::string("dir"), kRoot, name).error == EINVAL);
    CHECK(client.call(Type::kRenameat, kRoot, name, kRoot, std::string("x")).error == EINVAL);
    CHECK(client.call(Type::kLink, kRoot, kRoot, name).error == EINVAL);
    CHECK(client.call(Type::kMknod, kRoot, name, uint32_t{S_IFREG | 0600}, 0U, 0U, kGid).error ==
          EINVAL);
    client.call(Type::kClunk, 1U);
    REQUIRE(client.walk(kRoot, 1, {}).error == 0);
    CHECK(client.call(Type::kLcreate, 1U, name, uint32_t{O_RDWR}, 0600U, kGid).error == EINVAL);
    if (name != "..") CHECK(client.walk(kRoot, 2, {name}).error == EINVAL);
  }
  CHECK(client.call(Type::kMkdir, kRoot, std::string(256, 'n'), 0700U, kGid).error == ENAMETOOLONG);
  CHECK(folder.get("../secret") == "secret");
}

TEST_CASE_FIXTURE(Fixture, "a symbolic link is a place, never a way") {
  std::filesystem::create_symlink("../secret", folder.at("to-secret"));
  std::filesystem::create_directory_symlink("/", folder.at("to-all"));
  REQUIRE(client.walk(kRoot, 1, {"to-secret"}).error == 0);
  CHECK(client.call(Type::kLopen, 1U, uint32_t{O_RDONLY}).error == ELOOP);
  CHECK(client
            .call(Type::kSetattr, 1U, ninep::kSetSize, 0U, kGid, kGid, uint64_t{0}, uint64_t{0},
                  uint64_t{0}, uint64_t{0}, uint64_t{0})
            .error == ELOOP);
  CHECK(client
            .call(Type::kSetattr, 1U, ninep::kSetMode, 0777U, kGid, kGid, uint64_t{0}, uint64_t{0},
                  uint64_t{0}, uint64_t{0}, uint64_t{0})
            .error == EOPNOTSUPP);
  CHECK(client.walk(1, 2, {"x"}).error == ENOTDIR);
  CHECK(client.walk(kRoot, 2, {"to-all", "etc"}).at<uint16_t>(0) == 1);
  REQUIRE(client.walk(kRoot, 2, {"to-all"}).error == 0);
  CHECK(client.call(Type::kMkdir, 2U, std::string("x"), 0700U, kGid).error == ENOTDIR);
  CHECK(client.call(Type::kReaddir, 2U, uint64_t{0}, 100U).error == EBADF);
  // Creating a file through a link.
  REQUIRE(client.walk(kRoot, 3, {}).error == 0);
  CHECK(client
            .call(Type::kLcreate, 3U, std::string("to-secret"), uint32_t{O_RDWR | O_TRUNC}, 0600U,
                  kGid)
            .error == ELOOP);
  // A hard link to a symbolic link links that link itself.
  CHECK(client.call(Type::kLink, kRoot, 1U, std::string("hard")).error == 0);
  CHECK(S_ISLNK(folder.mode("hard")));
  CHECK(folder.get("../secret") == "secret");
}

TEST_CASE_FIXTURE(Fixture, "what is neither file nor folder is never opened") {
  REQUIRE(mkfifo(folder.at("fifo").c_str(), 0600) == 0);
  const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder.at("socket").string();
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  uint32_t fid = 10;
  for (const char* name : {"fifo", "socket"}) {
    CAPTURE(name);
    REQUIRE(client.walk(kRoot, ++fid, {name}).error == 0);
    CHECK(client.call(Type::kLopen, fid, uint32_t{O_RDONLY}).error == ENXIO);
    CHECK(client.call(Type::kLopen, fid, uint32_t{O_WRONLY}).error == ENXIO);
    CHECK(client.call(Type::kGetattr, fid, ~0ULL).error == 0);
    REQUIRE(client.walk(kRoot, ++fid, {}).error == 0);
    CHECK(
        client.call(Type::kLcreate, fid, std::string(name), uint32_t{O_RDWR}, 0600U, kGid).error ==
        ENXIO);
  }
}

TEST_CASE_FIXTURE(Fixture, "a race between a folder and a link to the outside gets nobody out") {
  std::filesystem::create_directory(folder.at("../outside"));
  folder.put("../outside/secret", "secret");
  std::atomic<bool> done = false;
  std::thread racer([&] {
    while (!done) {
      std::error_code ignored;
      std::filesystem::rename(folder.at("dir"), folder.at("other"), ignored);
      std::filesystem::create_directory_symlink("../outside", folder.at("dir"), ignored);
      std::filesystem::remove(folder.at("dir"), ignored);
      std::filesystem::rename(folder.at("other"), folder.at("dir"), ignored);
    }
  });
  int links = 0;
  int folders = 0;
  for (int round = 0; round < 3000; ++round) {
    const Reply walked = client.walk(kRoot, 1, {"dir", "secret"});
    if (walked.error != 0) continue;
    CHECK(walked.at<uint16_t>(0) == 1);
    ++(walked.at<uint8_t>(2) == ninep::kQidSymlink ? links : folders);
    client.call(Type::kClunk, 1U);
  }
  done = true;
  racer.join();
  CHECK(links + folders > 0);
}

TEST_CASE_FIXTURE(Fixture, "a guest can't use up the descriptors of its VMM") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 256;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &small) == 0);
  {
    MockClient other(folder);
    other.start();
    uint32_t fid = 1;
    while (other.walk(kRoot, fid, {"dir"}).error == 0) REQUIRE(++fid < 300);
    CHECK(other.walk(kRoot, fid, {"dir"}).error == EMFILE);
    CHECK(fid > 100);
    for (int spare = 0; spare < 32; ++spare) {
      const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      CHECK(fd >= 0);
      ::close(fd);
    }
    // Clones need no descriptor.
    for (uint32_t clone = 1000; clone < 1500; ++clone) {
      REQUIRE(other.walk(kRoot, clone, {}).error == 0);
    }
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE_FIXTURE(Fixture, "sharing names the path and what to do") {
  folder.put("file", "");
  const std::string missing = open_error(folder.at("none").string(), true);
  CHECK(missing.find("none") != std::string::npos);
  CHECK(missing.find("name a folder") != std::string::npos);
  CHECK(open_error(folder.at("file").string(), true).find("Not a directory") != std::string::npos);
  CHECK(open_error(folder.share().string(), false).empty());
  if (geteuid() == 0) return;
  CHECK(open_error("/etc", false).find("read-only") != std::string::npos);
}

}  // namespace vmm::test
