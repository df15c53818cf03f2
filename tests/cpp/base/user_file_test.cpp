// SPDX-License-Identifier: GPL-2.0-only
#include "base/user_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "temporary_folder.hpp"

namespace vmm::test {
namespace {

base::UserFile open(const std::string& path, int flags = O_RDONLY) {
  return base::open_user_file(path, flags, base::BlockDevices::kTaken);
}

}  // namespace

TEST_CASE("a regular file is opened as it was asked for") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  const base::UserFile file = open(folder / "file", O_RDWR);
  REQUIRE(file.fd);
  const int flags = fcntl(file.fd.get(), F_GETFL);
  CHECK((flags & O_ACCMODE) == O_RDWR);
  CHECK((flags & O_NONBLOCK) == 0);
  CHECK((fcntl(file.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("what can't be opened is told by its error") {
  const TemporaryFolder folder;
  const base::UserFile file = open(folder / "none");
  CHECK(!file.fd);
  CHECK(file.error == ENOENT);
  CHECK(file.kind.empty());
}

// If opened like a file, the first would wait for a writer for ever.
TEST_CASE("nothing else is opened, and nobody is waited for") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(open(folder / "fifo").kind == "a FIFO");
  CHECK(open(folder / "fifo", O_RDWR).kind == "a FIFO");
  CHECK(open(folder.path()).kind == "a folder");
  CHECK(open("/dev/null").kind == "a character device");

  const base::UniqueFd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{AF_UNIX, {}};
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  REQUIRE(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(open(folder / "socket").kind == "a socket");

  const base::UniqueFd terminal(posix_openpt(O_RDWR | O_NOCTTY));
  REQUIRE(terminal);
  REQUIRE(unlockpt(terminal.get()) == 0);
  CHECK(open(ptsname(terminal.get())).kind == "a character device");
}

}  // namespace vmm::test
