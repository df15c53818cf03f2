// SPDX-License-Identifier: GPL-2.0-only
//
// Which files the name in an image may refer to, and which not.
#include "backend/qcow2/backing.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "mock_image.hpp"

namespace vmm::test {
namespace {

using backend::qcow2::BackingPlaces;
using backend::qcow2::Image;

constexpr uint64_t kMiB = 1 << 20;

// A folder with images, and one next to it with files that they must not reach.
class Folders : public ImageFolder {
 public:
  Folders() {
    for (const std::string folder : {"images", "images/sub", "images-secret", "other"}) {
      std::filesystem::create_directory(path(folder));
      put(folder + "/base.raw", std::string(kMiB, folder.back()));
    }
  }

  std::string overlay(const std::string& file, const std::string& backing,
                      const std::string& format = "raw") const {
    MockImage image(kMiB);
    image.set_backing(backing, format);
    return put(file, image.bytes);
  }
  // The first byte of the disk, or the error.
  static std::string opened(const std::string& path, const BackingPlaces& places = {}) {
    try {
      Image image(path, false, places);
      return read_text(image, 0, 512).substr(0, 1);
    } catch (const base::ConfigError& error) {
      return error.what();
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Folders, "a backing file lies in the image's folder") {
  CHECK(opened(overlay("images/a", "base.raw")) == "s");
  CHECK(opened(overlay("images/a", "./sub/../base.raw")) == "s");
  CHECK(opened(overlay("images/a", "sub/base.raw")) == "b");
  CHECK(opened(overlay("images/a", path("images/base.raw"))) == "s");
}

TEST_CASE_FIXTURE(Folders, "elsewhere it is refused, with the option that allows it") {
  std::filesystem::create_symlink(path("other/base.raw"), path("images/link"));
  std::filesystem::create_symlink(path("other"), path("images/linked"));
  const std::string outside[] = {
      "../other/base.raw", "sub/../../other/base.raw", path("other/base.raw"), "link",
      "linked/base.raw",
  };
  for (const std::string& name : outside) {
    CAPTURE(name);
    const std::string image = overlay("images/a", name);
    const std::string error = opened(image);
    CHECK(contains(error, "disk " + image + ": has the backing file " + path("other/base.raw")));
    CHECK(contains(error, "backing=" + path("other/base.raw")));
    CHECK(opened(image, {.allowed = {path("other/base.raw")}}) == "r");
    CHECK(opened(image, {.allowed = {path("other") + "/"}}) == "r");
    CHECK(opened(image, {.allowed = {"/"}}) == "r");
    CHECK(contains(opened(image, {.allowed = {path("images/sub")}}), "backing="));
  }
  // A path that only starts with the folder's name is not in the folder.
  CHECK(contains(opened(overlay("images/a", path("images-secret/base.raw"))), "backing="));
  CHECK(contains(opened(overlay("images/a", "/etc/passwd")), "outside of the folder"));
  CHECK(contains(opened(overlay("images/a", "../none")), "outside of the folder"));
}

TEST_CASE_FIXTURE(Folders, "the whole chain lies there") {
  overlay("images/mid", "../other/base.raw");
  const std::string top = overlay("images/top", "mid", "qcow2");
  CHECK(contains(opened(top), "disk " + top + ", its backing file: disk " + path("images/mid")));
  CHECK(contains(opened(top), "backing=" + path("other/base.raw")));
  CHECK(opened(top, {.allowed = {path("other")}}) == "r");
  // An allowed image elsewhere may not refer to other files, not even in its own folder.
  overlay("other/mid", "base.raw");
  const std::string second = overlay("images/second", "../other/mid", "qcow2");
  CHECK(contains(opened(second, {.allowed = {path("other/mid")}}), "outside of the folder"));
  CHECK(opened(second, {.allowed = {path("other")}}) == "r");
}

TEST_CASE_FIXTURE(Folders, "the image's folder is where it was before it was staged") {
  const std::string staged = overlay("other/staged", "base.raw");
  CHECK(opened(staged) == "r");
  CHECK(opened(staged, {.folder = path("images")}) == "s");
  const std::string beside = overlay("other/staged", path("other/base.raw"));
  CHECK(contains(opened(beside, {.folder = path("images")}), "outside of the folder"));
}

TEST_CASE_FIXTURE(Folders, "a host that has the files elsewhere is told where") {
  // Like a lab host, where the user's /srv/base.raw has another path.
  const std::string top = overlay("images/top", "/srv/middle", "qcow2");
  const std::string middle = overlay("images/middle", "/srv/base.raw");
  const std::string other = path("other/base.raw");
  CHECK(opened(top, {.files = {middle, path("images/sub/base.raw")}}) == "b");
  // A file without a given path is looked up by name, and names are only those in images.
  CHECK(contains(opened(top, {.files = {middle}}), "has the backing file /srv/base.raw"));
  CHECK(contains(opened(top, {.files = {middle, other}}), "outside of the folder"));
  CHECK(opened(top, {.allowed = {path("other")}, .files = {middle, other}}) == "r");
  CHECK(contains(opened(overlay("images/top", "nbd:x"), {.files = {other}}), "no local file"));
}

TEST_CASE_FIXTURE(Folders, "no other protocol, and nothing to wait for") {
  CHECK(contains(opened(overlay("images/a", "json:{\"file.filename\": \"/x\"}")), "no local file"));
  CHECK(contains(opened(overlay("images/a", "file:base.raw")), "no local file"));
  REQUIRE(mkfifo(path("images/fifo").c_str(), 0600) == 0);
  CHECK(contains(opened(overlay("images/a", "fifo")), "is a FIFO"));
  CHECK(contains(opened(overlay("images/a", "fifo", "qcow2")), "is a FIFO"));
}

}  // namespace vmm::test
