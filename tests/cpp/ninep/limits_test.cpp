// SPDX-License-Identifier: GPL-2.0-only
//
// At the limit on descriptors nothing changes: a request that fails with "too many files" has
// created and truncated nothing.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mock_client.hpp"
#include "unprivileged.hpp"

namespace vmm::test {
namespace {

using ninep::Type;
constexpr uint32_t kRoot = MockClient::kRoot;
constexpr uint32_t kGid = ninep::kNoId;

class SmallLimit {
 public:
  SmallLimit() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit small = before_;
    small.rlim_cur = 256;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &small) == 0);
  }
  ~SmallLimit() { REQUIRE(setrlimit(RLIMIT_NOFILE, &before_) == 0); }

 private:
  rlimit before_{};
};

// A guest that has as many places as it may; fids from 1000 on are free.
struct FullShare {
  SmallLimit limit;
  Folder folder;
  MockClient client{folder};

  FullShare() {
    folder.put("file", "content");
    client.start();
    REQUIRE(client.walk(kRoot, 1000, {"file"}).error == 0);
    REQUIRE(client.walk(kRoot, 1001, {}).error == 0);
    uint32_t fid = 1;
    while (client.walk(kRoot, fid, {"file"}).error == 0) REQUIRE(++fid < 300);
    REQUIRE(fid > 100);
  }
  size_t entries() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.share())) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  }
};

}  // namespace

TEST_CASE_FIXTURE(FullShare, "nothing is made for a guest that has too many files") {
  const std::string name = "new";
  CHECK(client.call(Type::kLcreate, 1001U, name, uint32_t{O_RDWR}, 0600U, kGid).error == EMFILE);
  CHECK(client.call(Type::kMkdir, kRoot, name, 0700U, kGid).error == EMFILE);
  CHECK(client.call(Type::kSymlink, kRoot, name, std::string("target"), kGid).error == EMFILE);
  for (const uint32_t type : {S_IFREG, S_IFIFO, S_IFSOCK}) {
    CAPTURE(type);
    CHECK(client.call(Type::kMknod, kRoot, name, type | 0600, 0U, 0U, kGid).error == EMFILE);
  }
  CHECK(entries() == 1);
  // Requests without a new descriptor still work, and releasing one place is enough for the others.
  CHECK(client.call(Type::kLink, kRoot, 1000U, std::string("hard")).error == 0);
  CHECK(client.call(Type::kClunk, 1U).error == 0);
  CHECK(client.call(Type::kMkdir, kRoot, name, 0700U, kGid).error == 0);
  CHECK(entries() == 3);
}

TEST_CASE_FIXTURE(FullShare, "a file that can't be opened is not emptied") {
  const uint32_t flags = O_RDWR | O_TRUNC;
  CHECK(client.call(Type::kLopen, 1000U, flags).error == EMFILE);
  CHECK(client.call(Type::kLcreate, 1001U, std::string("file"), flags, 0600U, kGid).error ==
        EMFILE);
  CHECK(client.setattr(1000, ninep::kSetSize, 0, 0).error == EMFILE);
  CHECK(folder.get("file") == "content");
}

TEST_CASE("an open file is resized whatever its mode has become, and without a name") {
  const Folder folder;
  std::filesystem::permissions(folder.share(), std::filesystem::perms::all);
  MockClient client(folder);
  client.start();
  const Unprivileged user;
  REQUIRE(client.walk(kRoot, 1, {}).error == 0);
  // Like a file created by open(2): writable only through this descriptor.
  REQUIRE(
      client.call(Type::kLcreate, 1U, std::string("file"), uint32_t{O_RDWR}, 0444U, kGid).error ==
      0);
  CHECK(client.setattr(1, ninep::kSetSize, 0, 5000).error == 0);
  REQUIRE(client.call(Type::kUnlinkat, kRoot, std::string("file"), 0U).error == 0);
  CHECK(client.setattr(1, ninep::kSetSize, 0, 3).error == 0);
  const Reply all = client.read(1, 0, 100);
  CHECK(all.data == std::string(3, '\0'));
  // A fid opened for reading is not writable.
  REQUIRE(client.walk(kRoot, 2, {}).error == 0);
  REQUIRE(client.call(Type::kLcreate, 2U, std::string("other"), uint32_t{O_RDONLY}, 0444U, kGid)
              .error == 0);
  CHECK(client.setattr(2, ninep::kSetSize, 0, 5000).error == EACCES);
}

}  // namespace vmm::test
