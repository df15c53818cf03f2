// SPDX-License-Identifier: GPL-2.0-only
#include "backend/raw_file.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "host_calls.hpp"
#include "temporary_folder.hpp"
#include "unprivileged.hpp"

namespace vmm::test {
namespace {

using backend::RawFile;

class Fixture {
 public:
  std::string make(const std::string& name, const std::string& content) const {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::string path(const std::string& name) const { return folder_ / name; }

  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static std::string open_error(const std::string& path, bool read_only) {
    try {
      RawFile file(path, read_only);
    } catch (const base::ConfigError& error) {
      return error.what();
    }
    return "";
  }
  static bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

 private:
  TemporaryFolder folder_;
};

// While this exists, files of this process can't be written past `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

std::string numbered(size_t sectors) {
  std::string bytes;
  for (size_t i = 0; i < sectors; ++i) bytes += std::string(512, static_cast<char>('a' + i));
  return bytes;
}

iovec over(std::string& bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

TEST_CASE_FIXTURE(Fixture, "raw file reads and writes split buffers") {
  const std::string image = make("disk.img", numbered(4));
  RawFile file(image, false);
  CHECK(file.size_bytes() == 2048);
  CHECK(file.identity() == "disk.img");
  std::string first(500, '\0');
  std::string none;
  std::string second(524, '\0');
  const std::array<iovec, 3> into{over(first), over(none), over(second)};
  CHECK_FALSE(file.read(512, into));
  CHECK(first + second == numbered(4).substr(512, 1024));

  std::string new_bytes(512, 'Z');
  const iovec from = over(new_bytes);
  CHECK_FALSE(file.write(1024, std::span(&from, 1)));
  CHECK_FALSE(file.flush());
  CHECK(content(image) == numbered(2) + new_bytes + numbered(4).substr(1536));
}

TEST_CASE_FIXTURE(Fixture, "raw file transfers more buffers than one system call takes") {
  const std::string image = make("disk.img", std::string(8192, '.'));
  RawFile file(image, false);
  std::string bytes;
  for (int i = 0; i < 8192; ++i) bytes += static_cast<char>('a' + i % 26);
  std::vector<iovec> pieces;
  for (size_t i = 0; i < bytes.size(); i += 4) pieces.push_back({bytes.data() + i, 4});
  REQUIRE(pieces.size() > IOV_MAX);
  CHECK_FALSE(file.write(0, pieces));
  CHECK(content(image) == bytes);
}

TEST_CASE_FIXTURE(Fixture, "a file that shrank is an error, not a hang") {
  const std::string image = make("disk.img", numbered(4));
  RawFile file(image, false);
  REQUIRE(truncate(image.c_str(), 1000) == 0);
  std::string bytes(2048, '\0');
  const iovec into = over(bytes);
  CHECK(file.read(0, std::span(&into, 1)) == std::errc::io_error);
}

// The kernel returns EIO for unmapped pages of this process, as for a bad sector.
TEST_CASE("a bad sector is an error, with and without a ring") {
  std::string buffer(512, 'b');
  const iovec whole = over(buffer);
  RawFile plain("/proc/self/mem", true);
  CHECK(plain.read(0, std::span(&whole, 1)) == std::errc::io_error);

  base::EventLoop loop;
  auto ring = backend::IoRing::create(loop);
  if (ring == nullptr) return;
  RawFile with_ring("/proc/self/mem", true, false, std::move(ring));
  std::optional<std::error_code> told;
  const auto at_once =
      with_ring.begin_read(0, std::span(&whole, 1), [&](std::error_code error) { told = error; });
  with_ring.drain();
  CHECK((at_once ? at_once : told) == std::make_error_code(std::errc::io_error));
}

TEST_CASE_FIXTURE(Fixture, "a read-only file refuses writes and flushes at no cost") {
  const std::string image = make("disk.img", numbered(1));
  RawFile file(image, true);
  CHECK(file.read_only());
  std::string bytes(512, 'x');
  const iovec from = over(bytes);
  CHECK(file.write(0, std::span(&from, 1)));
  CHECK_FALSE(file.flush());
  CHECK(content(image) == numbered(1));
}

TEST_CASE_FIXTURE(Fixture, "write_zeroes zeroes the range and nothing else") {
  for (const bool may_unmap : {false, true}) {
    CAPTURE(may_unmap);
    const std::string image = make("disk.img", numbered(300));
    RawFile file(image, false);
    CHECK_FALSE(file.write_zeroes(512, 298 * 512, may_unmap));
    CHECK(content(image) ==
          numbered(1) + std::string(298 * 512, '\0') + numbered(300).substr(299 * 512));
  }
}

TEST_CASE_FIXTURE(Fixture, "discard keeps the size and the neighbours") {
  const std::string image = make("disk.img", numbered(4));
  RawFile file(image, false);
  CHECK_FALSE(file.discard(512, 1024));
  CHECK_FALSE(file.discard(0, 0));
  CHECK(content(image).size() == 2048);
  CHECK(content(image).substr(0, 512) == numbered(1));
}

TEST_CASE_FIXTURE(Fixture, "a direct file reads and writes buffers wherever they lie") {
  const std::string image = make("disk.img", std::string(64 * 1024, '.'));
  std::unique_ptr<RawFile> file;
  try {
    file = std::make_unique<RawFile>(image, false, true);
  } catch (const base::ConfigError& error) {
    CHECK(contains(error.what(), "leave out direct"));  // a tmpfs, before Linux 6.6
    return;
  }
  CHECK(file->block_bytes() >= 512);
  std::string bytes(8 * 4096 + 1, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>('a' + i % 26);
  const std::array<iovec, 2> from{iovec{bytes.data() + 1, 100},
                                  {bytes.data() + 101, 8 * 4096 - 100}};
  CHECK_FALSE(file->write(4096, from));
  CHECK_FALSE(file->write_zeroes(3 * 4096, 4096, false));
  std::string back(8 * 4096 + 3, '\0');
  const std::array<iovec, 2> into{iovec{back.data() + 3, 5000},
                                  {back.data() + 5003, 8 * 4096 - 5000}};
  CHECK_FALSE(file->read(4096, into));
  std::string wanted = bytes.substr(1);
  wanted.replace(2 * 4096, 4096, 4096, '\0');
  CHECK(back.substr(3) == wanted);
}

TEST_CASE_FIXTURE(Fixture, "opening names the path and what to do") {
  const std::string missing = open_error(path("none.img"), false);
  CHECK(contains(missing, path("none.img")));
  CHECK(contains(missing, "truncate"));
  CHECK(contains(open_error(path(""), true), "is a folder, neither a file nor a block device"));
  CHECK(contains(open_error("/dev/null", true), "is a character device"));
}

TEST_CASE_FIXTURE(Fixture, "an image of somebody else's is refused with the right to ask for") {
  const std::string image = make("image", numbered(1));
  std::filesystem::permissions(path(""), std::filesystem::perms(0711));
  const auto error_with = [&](unsigned mode, bool read_only) {
    std::filesystem::permissions(image, std::filesystem::perms(mode));
    const Unprivileged user;
    return open_error(image, read_only);
  };
  const std::string denied = "disk " + image + ": Permission denied; ";
  CHECK(error_with(0, true) == denied + "make it readable for this user");
  CHECK(error_with(0444, false) ==
        denied + "make it writable for this user, or attach the disk read-only");
  CHECK(error_with(0444, true).empty());
}

TEST_CASE_FIXTURE(Fixture, "an image has one writer, or readers") {
  const std::string image = make("image", numbered(1));
  const auto refused = [&](bool read_only) {
    const std::string error = open_error(image, read_only);
    if (!error.empty()) CHECK(contains(error, image + ": another machine uses it"));
    return !error.empty();
  };
  {
    const RawFile writer(image, false);
    CHECK(refused(false));
    CHECK(refused(true));
  }
  const RawFile reader(image, true);
  CHECK(!refused(true));
  CHECK(refused(false));
}

// Like a full host disk: the system call writes a part, then nothing.
TEST_CASE_FIXTURE(Fixture, "a write that finds no room is an error, and reads go on") {
  std::string bytes = numbered(4);
  const std::string image = make("image", std::string(bytes.size(), '-'));
  RawFile file(image, false);
  const FileSizeLimit limit(1024);
  const iovec whole = over(bytes);
  CHECK(file.write(0, std::span(&whole, 1)).value() == EFBIG);
  std::string back(bytes.size(), '\0');
  const iovec into = over(back);
  CHECK(!file.read(0, std::span(&into, 1)));
  CHECK(back == bytes.substr(0, 1024) + std::string(1024, '-'));
}

TEST_CASE_FIXTURE(Fixture, "a raw file's flush that failed is final") {
  const std::string image = make("image", numbered(4));
  RawFile file(image, false);
  HostCalls calls(image);
  calls.sync_fault = [](int number) {
    return number == 0 ? HostCalls::Fault::kRefused : HostCalls::Fault::kNone;
  };
  CHECK(file.flush() == std::errc::io_error);
  CHECK(file.flush() == std::errc::io_error);
  std::string bytes = numbered(1);
  const iovec from = over(bytes);
  CHECK_FALSE(file.write(0, std::span(&from, 1)));
  CHECK(file.flush() == std::errc::io_error);
}

// Finds a RawFile's open descriptor by its path.
int descriptor_of(const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry.path(), error) == path) {
      return std::stoi(entry.path().filename());
    }
  }
  return -1;
}

// With the ring the kernel itself reports the error: it can't sync a pipe.
TEST_CASE_FIXTURE(Fixture, "a flush that failed in the ring is final, too") {
  base::EventLoop loop;
  auto ring = backend::IoRing::create(loop);
  if (ring == nullptr) return;
  const std::string image = make("image", numbered(4));
  RawFile file(image, false, false, std::move(ring));
  const int fd = descriptor_of(image);
  REQUIRE(fd >= 0);
  const base::UniqueFd kept(dup(fd));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(dup2(ends[0], fd) == fd);
  const auto flushed = [&] {
    std::optional<std::error_code> told;
    backend::BlockBackend::Done done = [&](std::error_code error) { told = error; };
    if (!file.begin_flush(done)) return file.flush();
    file.drain();
    return told.value();
  };
  CHECK(flushed() == std::errc::invalid_argument);
  REQUIRE(dup2(kept.get(), fd) == fd);
  CHECK(flushed() == std::errc::invalid_argument);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE_FIXTURE(Fixture, "a size that is not whole sectors is refused with the size to use") {
  const std::string error = open_error(make("odd.img", std::string(1000, 'x')), true);
  CHECK(contains(error, "1000 bytes"));
  CHECK(contains(error, "truncate -s 1024"));
}

}  // namespace vmm::test
