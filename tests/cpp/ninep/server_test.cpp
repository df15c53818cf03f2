// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/server.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>

#include "mock_client.hpp"

namespace vmm::test {
namespace {

using ninep::Type;
constexpr uint32_t kRoot = MockClient::kRoot;
constexpr uint32_t kFid = 1;
constexpr uint32_t kGid = ninep::kNoId;

struct Fixture {
  Folder folder;
  MockClient client{folder};

  Fixture() { client.start(); }

  void open(uint32_t fid, const std::string& name, uint32_t flags) {
    REQUIRE(client.walk(kRoot, fid, {name}).error == 0);
    REQUIRE(client.call(Type::kLopen, fid, flags).error == 0);
  }
  std::vector<std::string> list(uint32_t fid, uint32_t count) {
    std::vector<std::string> names;
    uint64_t offset = 0;
    for (;;) {
      const Reply reply = client.call(Type::kReaddir, fid, offset, count);
      REQUIRE(reply.error == 0);
      ninep::Reader in(reply.body);
      uint32_t left = in.take<uint32_t>();
      CHECK(left <= count);
      if (left == 0) return names;
      while (left > 0) {
        in.take<uint8_t>(), in.take<uint32_t>(), in.take<uint64_t>();
        offset = in.take<uint64_t>();
        in.take<uint8_t>();
        names.push_back(in.take_string());
        left -= static_cast<uint32_t>(24 + names.back().size());
      }
      CHECK(in.ok());
    }
  }
};

struct ReadOnlyFixture {
  Folder folder;
  MockClient client{folder, true};

  ReadOnlyFixture() {
    folder.put("file", "content");
    client.start();
    REQUIRE(client.walk(kRoot, kFid, {"file"}).error == 0);
  }
};

}  // namespace

TEST_CASE("a session begins with the version") {
  const Folder folder;
  MockClient client(folder);
  CHECK(client.attach(kRoot).error == EPROTO);
  CHECK(client.version(8192, "9P2000").body.size() == 4 + 2 + 7);  // "unknown"
  CHECK(client.attach(kRoot).error == EPROTO);
  CHECK(client.version(1024).body.size() == 4 + 2 + 7);
  CHECK(client.version(~0U).at<uint32_t>(0) == ninep::kMaxMessageBytes);
  CHECK(client.version(8192).at<uint32_t>(0) == 8192);
  CHECK(client.attach(kRoot, "/").error == 0);
  CHECK(client.attach(9, "/etc").error == ENOENT);
  CHECK(client.attach(kRoot).error == EBADF);
}

TEST_CASE_FIXTURE(Fixture, "a new version ends the session before it") {
  REQUIRE(client.server.fid_count() == 1);
  REQUIRE(client.version().error == 0);
  CHECK(client.server.fid_count() == 0);
  CHECK(client.call(Type::kGetattr, kRoot, ~0ULL).error == EBADF);
}

TEST_CASE_FIXTURE(Fixture, "a walk goes as far as it can") {
  std::filesystem::create_directories(folder.at("a/b"));
  const Reply whole = client.walk(kRoot, kFid, {"a", "b"});
  CHECK(whole.at<uint16_t>(0) == 2);
  CHECK(whole.at<uint8_t>(2) == ninep::kQidDirectory);
  const Reply part = client.walk(kRoot, 2, {"a", "none", "b"});
  CHECK(part.error == 0);
  CHECK(part.at<uint16_t>(0) == 1);
  CHECK(client.call(Type::kGetattr, uint32_t{2}, ~0ULL).error == EBADF);
  CHECK(client.walk(kRoot, 2, {"none"}).error == ENOENT);
  CHECK(client.walk(kRoot, kFid, {}).error == EBADF);  // in use
  CHECK(client.walk(kFid, kFid, {}).error == 0);
  CHECK(client.walk(77, 78, {}).error == EBADF);
  CHECK(client.walk(kRoot, 2, std::vector<std::string>(17, "a")).error == EINVAL);
}

TEST_CASE_FIXTURE(Fixture, "files are made, written, read and synced") {
  REQUIRE(client.walk(kRoot, kFid, {}).error == 0);
  CHECK(
      client.call(Type::kLcreate, kFid, std::string("new"), uint32_t{O_RDWR}, 0640U, kGid).error ==
      0);
  CHECK(folder.mode("new") == (S_IFREG | 0640));
  const std::string text(40'000, 'x');
  CHECK(client.write(kFid, 3, text).at<uint32_t>(0) == text.size());
  CHECK(folder.get("new") == std::string(3, '\0') + text);
  CHECK(client.read(kFid, 39'999, 100).data == "xxxx");
  CHECK(client.read(kFid, 50'000, 100).data.empty());
  CHECK(client.read(kFid, 0, ~0U).data.size() == text.size() + 3);
  CHECK(client.call(Type::kFsync, kFid, uint32_t{0}).error == 0);
  CHECK(client.call(Type::kFsync, kFid, uint32_t{1}).error == 0);
  CHECK(client.read(kFid, ~0ULL, 1).error == EINVAL);
  CHECK(client.write(kFid, ~0ULL, "x").error == EFBIG);
  CHECK(client.call(Type::kClunk, kFid).error == 0);
  CHECK(client.read(kFid, 0, 1).error == EBADF);
}

TEST_CASE_FIXTURE(Fixture, "creating opens what is there unless it must be new") {
  folder.put("old", "content");
  REQUIRE(client.walk(kRoot, kFid, {}).error == 0);
  const std::string name = "old";
  CHECK(client.call(Type::kLcreate, kFid, name, uint32_t{O_RDWR | O_EXCL}, 0600U, kGid).error ==
        EEXIST);
  CHECK(client.call(Type::kLcreate, kFid, name, uint32_t{O_RDWR}, 0600U, kGid).error == 0);
  CHECK(client.read(kFid, 0, 100).data == "content");
  CHECK(client.call(Type::kLcreate, kFid, name, uint32_t{O_RDWR}, 0600U, kGid).error == EBADF);
}

TEST_CASE_FIXTURE(Fixture, "attributes are told and set") {
  folder.put("file", "content");
  REQUIRE(client.walk(kRoot, kFid, {"file"}).error == 0);
  const Reply told = client.call(Type::kGetattr, kFid, ~0ULL);
  CHECK(told.at<uint64_t>(0) == ninep::kGetattrBasic);
  CHECK(told.at<uint32_t>(21) == folder.mode("file"));
  CHECK(told.at<uint64_t>(49) == 7);  // size
  const auto set = [&](uint32_t valid, uint32_t mode, uint64_t size, uint64_t second) {
    return client
        .call(Type::kSetattr, kFid, valid, mode, kGid, kGid, size, uint64_t{0}, uint64_t{0}, second,
              uint64_t{5})
        .error;
  };
  CHECK(set(ninep::kSetMode, 0604, 0, 0) == 0);
  CHECK(set(ninep::kSetSize, 0, 3, 0) == 0);
  CHECK(set(ninep::kSetMtime | ninep::kSetMtimeTo, 0, 0, 1'000'000'000) == 0);
  CHECK(folder.mode("file") == (S_IFREG | 0604));
  CHECK(folder.get("file") == "con");
  const Reply again = client.call(Type::kGetattr, kFid, ~0ULL);
  CHECK(again.at<uint64_t>(49) == 3);
  CHECK(again.at<uint64_t>(89) == 1'000'000'000);
  CHECK(again.at<uint64_t>(97) == 5);
  CHECK(set(ninep::kSetSize, 0, ~0ULL, 0) == EFBIG);
  CHECK(set(1 << 20, 0, 0, 0) == EINVAL);
}

TEST_CASE_FIXTURE(Fixture, "programs are never left behind with their owner's rights") {
  folder.put("file", "");
  REQUIRE(client.walk(kRoot, kFid, {"file"}).error == 0);
  client.call(Type::kSetattr, kFid, ninep::kSetMode, 06755U, kGid, kGid, uint64_t{0}, uint64_t{0},
              uint64_t{0}, uint64_t{0}, uint64_t{0});
  CHECK(folder.mode("file") == (S_IFREG | 0755));
  REQUIRE(client.walk(kRoot, 2, {}).error == 0);
  CHECK(client.call(Type::kLcreate, uint32_t{2}, std::string("new"), uint32_t{O_RDWR}, 06755U, kGid)
            .error == 0);
  CHECK(folder.mode("new") == (S_IFREG | 0755));
  CHECK(
      client.call(Type::kMknod, kRoot, std::string("disk"), uint32_t{S_IFBLK | 0600}, 8U, 0U, kGid)
          .error == EPERM);
  CHECK(
      client.call(Type::kMknod, kRoot, std::string("fifo"), uint32_t{S_IFIFO | 0600}, 0U, 0U, kGid)
          .error == 0);
  CHECK(folder.mode("fifo") == (S_IFIFO | 0600));
}

TEST_CASE_FIXTURE(Fixture, "a folder is listed whole, in pieces of any size") {
  std::vector<std::string> wanted{".", ".."};
  for (int i = 0; i < 300; ++i) {
    wanted.push_back("file-with-a-long-name-" + std::to_string(i));
    folder.put(wanted.back(), "");
  }
  std::ranges::sort(wanted);
  REQUIRE(client.walk(kRoot, kFid, {}).error == 0);
  REQUIRE(client.call(Type::kLopen, kFid, uint32_t{O_RDONLY | O_DIRECTORY}).error == 0);
  for (const uint32_t count : {60U, 700U, 60'000U, ~0U}) {
    CAPTURE(count);
    auto names = list(kFid, count);
    std::ranges::sort(names);
    CHECK(names == wanted);
  }
  CHECK(client.call(Type::kReaddir, kFid, uint64_t{0}, uint32_t{10}).error == EINVAL);
  CHECK(client.call(Type::kReaddir, kRoot, uint64_t{0}, uint32_t{10}).error == EBADF);
}

TEST_CASE_FIXTURE(Fixture, "names are made, linked, renamed and removed") {
  CHECK(client.call(Type::kMkdir, kRoot, std::string("dir"), 0750U, kGid).error == 0);
  CHECK(folder.mode("dir") == (S_IFDIR | 0750));
  CHECK(client.call(Type::kMkdir, kRoot, std::string("dir"), 0750U, kGid).error == EEXIST);
  CHECK(client.call(Type::kSymlink, kRoot, std::string("link"), std::string("dir/x"), kGid).error ==
        0);
  REQUIRE(client.walk(kRoot, kFid, {"link"}).error == 0);
  const Reply target = client.call(Type::kReadlink, kFid);
  CHECK(target.at<uint16_t>(0) == 5);
  folder.put("file", "content");
  REQUIRE(client.walk(kRoot, 2, {"file"}).error == 0);
  REQUIRE(client.walk(kRoot, 3, {"dir"}).error == 0);
  CHECK(client.call(Type::kReadlink, 2U).error == EINVAL);
  CHECK(client.call(Type::kLink, 3U, 2U, std::string("hard")).error == 0);
  CHECK(folder.get("dir/hard") == "content");
  CHECK(client.call(Type::kRenameat, kRoot, std::string("file"), 3U, std::string("moved")).error ==
        0);
  CHECK(folder.get("dir/moved") == "content");
  // A fid stays with its file.
  CHECK(client.call(Type::kGetattr, 2U, ~0ULL).at<uint64_t>(33) == 2);  // links
  CHECK(client.call(Type::kUnlinkat, kRoot, std::string("dir"), 0U).error == EISDIR);
  CHECK(client.call(Type::kUnlinkat, kRoot, std::string("dir"), 0x200U).error == ENOTEMPTY);
  CHECK(client.call(Type::kUnlinkat, 3U, std::string("hard"), 0U).error == 0);
  CHECK(client.call(Type::kUnlinkat, 3U, std::string("moved"), 0U).error == 0);
  CHECK(client.call(Type::kUnlinkat, kRoot, std::string("dir"), 0x200U).error == 0);
  CHECK_FALSE(folder.has("dir"));
  // An open file remains usable without its name.
  CHECK(client.call(Type::kLopen, 2U, uint32_t{O_RDONLY}).error == 0);
  CHECK(client.read(2, 0, 100).data == "content");
}

TEST_CASE_FIXTURE(Fixture, "locks, statfs and flush are answered, attributes of others are not") {
  folder.put("file", "");
  open(kFid, "file", O_RDWR);
  CHECK(client
            .call(Type::kLock, kFid, uint8_t{1}, 0U, uint64_t{0}, uint64_t{0}, 1U,
                  std::string("guest"))
            .at<uint8_t>(0) == ninep::kLockSuccess);
  CHECK(client
            .call(Type::kGetlock, kFid, uint8_t{1}, uint64_t{0}, uint64_t{0}, 1U,
                  std::string("guest"))
            .at<uint8_t>(0) == ninep::kLockUnlocked);
  CHECK(client.call(Type::kStatfs, kRoot).at<uint32_t>(0) == ninep::kStatfsType);
  CHECK(client.call(Type::kFlush, uint16_t{3}).error == 0);
  CHECK(client.call(static_cast<Type>(30), kFid, 9U, std::string("user.x")).error == EOPNOTSUPP);
  CHECK(client.call(static_cast<Type>(255)).error == EOPNOTSUPP);
  CHECK(client.call(Type::kRemove, kFid).error == EOPNOTSUPP);
  CHECK(client.call(Type::kClunk, kFid).error == EBADF);
}

TEST_CASE_FIXTURE(ReadOnlyFixture, "a read-only share lets nothing change") {
  const std::string name = "new";
  CHECK(client.call(Type::kLopen, kFid, uint32_t{O_RDWR}).error == EROFS);
  CHECK(client.call(Type::kLopen, kFid, uint32_t{O_RDONLY | O_TRUNC}).error == EROFS);
  CHECK(client
            .call(Type::kSetattr, kFid, ninep::kSetMode, 0777U, kGid, kGid, uint64_t{0},
                  uint64_t{0}, uint64_t{0}, uint64_t{0}, uint64_t{0})
            .error == EROFS);
  CHECK(client.call(Type::kMkdir, kRoot, name, 0750U, kGid).error == EROFS);
  CHECK(client.call(Type::kSymlink, kRoot, name, name, kGid).error == EROFS);
  CHECK(client.call(Type::kMknod, kRoot, name, uint32_t{S_IFREG | 0600}, 0U, 0U, kGid).error ==
        EROFS);
  CHECK(client.call(Type::kLink, kRoot, kFid, name).error == EROFS);
  CHECK(client.call(Type::kRenameat, kRoot, std::string("file"), kRoot, name).error == EROFS);
  CHECK(client.call(Type::kUnlinkat, kRoot, std::string("file"), 0U).error == EROFS);
  REQUIRE(client.walk(kRoot, 2, {}).error == 0);
  CHECK(client.call(Type::kLcreate, 2U, name, uint32_t{O_RDWR}, 0600U, kGid).error == EROFS);
  CHECK(client.call(Type::kLopen, kFid, uint32_t{O_RDONLY}).error == 0);
  CHECK(client.write(kFid, 0, "x").error == EROFS);
  CHECK(client.read(kFid, 0, 100).data == "content");
  CHECK(folder.get("file") == "content");
}

TEST_CASE_FIXTURE(Fixture, "messages that lie about themselves are refused") {
  ninep::Writer lying;
  lying.put(uint32_t{100});
  lying.put(static_cast<uint8_t>(Type::kGetattr));
  lying.put(uint16_t{7});
  CHECK(client.send_bytes(lying.take()).error == EPROTO);
  CHECK(client.send_bytes({}).error == EPROTO);
  CHECK(client.last_tag == ninep::kNoTag);
  // Each type with truncated fields.
  for (unsigned type = 0; type < 256; ++type) {
    if (static_cast<Type>(type) == Type::kVersion || static_cast<Type>(type) == Type::kFlush)
      continue;
    CAPTURE(type);
    CHECK(client.send(static_cast<Type>(type), {}).error != 0);
  }
  ninep::Writer large;
  large.put(kRoot);
  large.put(uint64_t{0});
  large.put(uint32_t{0});
  CHECK(client.send(Type::kWrite, std::move(large), std::string(70'000, 'x')).error == EMSGSIZE);
}

TEST_CASE_FIXTURE(Fixture, "an answer that does not fit is an error") {
  ninep::Writer getattr;
  getattr.put(uint32_t{19});
  getattr.put(static_cast<uint8_t>(Type::kGetattr));
  getattr.put(uint16_t{7});
  getattr.put(kRoot);
  getattr.put(~0ULL);
  const auto message = getattr.take();
  CHECK(client.send_bytes(message, "", ninep::kErrorBytes).error == ENOBUFS);
  CHECK(client.send_bytes(message).error == 0);
}

}  // namespace vmm::test
