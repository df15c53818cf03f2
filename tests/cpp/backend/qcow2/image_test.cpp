// SPDX-License-Identifier: GPL-2.0-only
#include "backend/qcow2/image.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <random>

#include "mock_image.hpp"

namespace vmm::test {
namespace {

using backend::qcow2::Image;
namespace qcow2 = backend::qcow2;

constexpr uint64_t kMiB = 1 << 20;

std::string deflated(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// Two compressed clusters that share a cluster of the file.
MockImage compressed_image(const std::string& first, const std::string& second) {
  MockImage image(kMiB);
  const uint64_t l2 = image.add_l2();
  const std::string one = deflated(first);
  const std::string two = deflated(second);
  const uint64_t place = image.add_cluster(one + two);
  const auto entry = [](uint64_t offset, uint64_t length) {
    const uint64_t sectors = (offset % 512 + length - 1) / 512;
    return qcow2::kCompressed | sectors << 54 | offset;
  };
  image.put<uint64_t>(l2, entry(place, one.size()));
  image.put<uint64_t>(l2 + 8, entry(place + one.size(), two.size()));
  image.count(place / image.cluster_bytes, 2);
  return image;
}

// Random requests, to an image and to a string.
class Exerciser {
 public:
  Exerciser(Image& image, std::string& model, uint32_t seed)
      : image_(image), model_(model), random_(seed) {}

  void step() {
    const uint64_t sectors = model_.size() / 512;
    const uint64_t start = below(sectors);
    const uint64_t count = 1 + below(std::min<uint64_t>(sectors - start, one_in(4) ? 1024 : 24));
    const uint64_t offset = start * 512;
    const uint64_t length = count * 512;
    switch (below(8)) {
      case 0:
        CHECK_FALSE(image_.write_zeroes(offset, length, one_in(2)));
        model_.replace(offset, length, length, '\0');
        break;
      case 1:
        CHECK_FALSE(image_.discard(offset, length));
        model_.replace(offset, length, read_text(image_, offset, length));
        break;
      case 2:
        CHECK_FALSE(image_.flush());
        break;
      case 3:
        if (read_text(image_, offset, length) != model_.substr(offset, length)) FAIL("differs");
        break;
      default: {
        const std::string text(length, static_cast<char>('a' + below(26)));
        CHECK_FALSE(write_text(image_, offset, text));
        model_.replace(offset, length, text);
      }
    }
  }
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  Image& image_;
  std::string& model_;
  std::mt19937_64 random_;
};

void exercise(const std::string& path, std::string& model, uint32_t seed, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    Image image(path, false);
    REQUIRE(image.size_bytes() == model.size());
    Exerciser exerciser(image, model, seed * 100 + static_cast<uint32_t>(round));
    for (int step = 0; step < 150; ++step) exerciser.step();
    if (read_text(image, 0, model.size()) != model) FAIL("the disk differs");
  }
  CHECK(qemu_complaint(path) == "");
}

}  // namespace

TEST_CASE_FIXTURE(ImageFolder, "a new image is empty and keeps what is written") {
  const std::string path = put("new.qcow2", MockImage(4 * kMiB).bytes);
  {
    Image image(path, false);
    CHECK(image.size_bytes() == 4 * kMiB);
    CHECK(image.identity() == "new.qcow2");
    CHECK(read_text(image, 0, 1024) == std::string(1024, '\0'));
    CHECK_FALSE(write_text(image, 65536 - 512, std::string(1024, 'x')));
    CHECK_FALSE(image.flush());
  }
  Image image(path, true);
  CHECK(read_text(image, 65536 - 1024, 2048) ==
        std::string(512, '\0') + std::string(1024, 'x') + std::string(512, '\0'));
  CHECK(qemu_complaint(path) == "");
}

TEST_CASE_FIXTURE(ImageFolder, "an image is a disk, whatever its geometry") {
  struct Geometry {
    uint32_t cluster_bits, version, refcount_order;
  };
  const Geometry geometries[] = {{16, 3, 4}, {16, 2, 4}, {12, 3, 0}, {12, 3, 1},
                                 {12, 3, 2}, {12, 3, 3}, {12, 3, 5}, {12, 3, 6},
                                 {9, 3, 4},  {9, 2, 4},  {18, 3, 4}};
  uint32_t seed = 0;
  for (const Geometry& geometry : geometries) {
    CAPTURE(geometry.cluster_bits);
    CAPTURE(geometry.version);
    CAPTURE(geometry.refcount_order);
    const uint64_t size = 2 * kMiB + 512 * 5;  // ends within a cluster
    const MockImage mock(size, geometry.cluster_bits, geometry.version, geometry.refcount_order);
    if (mock.bytes.size() < 3 * mock.cluster_bytes) continue;
    const uint64_t l1 = (size + mock.cluster_bytes * mock.cluster_bytes / 8 - 1) /
                        (mock.cluster_bytes * mock.cluster_bytes / 8);
    if (l1 * 8 > mock.cluster_bytes) continue;  // the mock has one cluster for its L1 table
    const std::string path = put("disk.qcow2", mock.bytes);
    std::string model(size, '\0');
    exercise(path, model, ++seed, 3);
  }
  CHECK(seed >= 9);
}

TEST_CASE_FIXTURE(ImageFolder, "an image shows its backing file until it is written") {
  std::string base(kMiB, '\0');
  for (size_t i = 0; i < base.size(); ++i) base[i] = static_cast<char>('A' + i / 512 % 26);
  put("base.raw", base);
  for (const std::string format : {"raw", "qcow2"}) {
    CAPTURE(format);
    std::string name = "base.raw";
    if (format == "qcow2") {
      // A chain: overlay on an empty image on the raw file.
      MockImage middle(2 * kMiB);
      middle.set_backing("base.raw", "raw");
      put("middle.qcow2", middle.bytes);
      name = "middle.qcow2";
    }
    MockImage overlay(2 * kMiB);  // longer than its backing file
    overlay.set_backing(name, format);
    const std::string path = put("overlay.qcow2", overlay.bytes);
    std::string model = base + std::string(kMiB, '\0');
    {
      Image image(path, false);
      CHECK(read_text(image, 0, 2 * kMiB) == model);
    }
    exercise(path, model, 77, 3);
  }
  std::ifstream file(path("base.raw"), std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == base);
}

TEST_CASE_FIXTURE(ImageFolder, "a staged image finds its backing file where it was") {
  std::filesystem::create_directory(path("other"));
  put("other/base.raw", std::string(kMiB, 'b'));
  MockImage overlay(kMiB);
  overlay.set_backing("base.raw", "raw");
  const std::string staged = put("overlay.qcow2", overlay.bytes);
  CHECK(contains(open_error(staged), "No such file"));
  Image image(staged, false, {.folder = path("other")});
  CHECK(read_text(image, 0, 512) == std::string(512, 'b'));
}

TEST_CASE_FIXTURE(ImageFolder, "compressed clusters are read, and replaced when written") {
  std::string first(65536, '1');
  for (size_t i = 0; i < first.size(); i += 7) first[i] = static_cast<char>(i);
  const std::string second(65536, '2');
  const std::string path = put("disk.qcow2", compressed_image(first, second).bytes);
  CHECK(qemu_complaint(path) == "");
  std::string model = first + second + std::string(kMiB - 2 * 65536, '\0');
  {
    Image image(path, false);
    CHECK(read_text(image, 0, kMiB) == model);
    CHECK_FALSE(write_text(image, 1024, std::string(512, 'w')));
    model.replace(1024, 512, 512, 'w');
    CHECK(read_text(image, 0, kMiB) == model);
  }
  CHECK(qemu_complaint(path) == "");
  exercise(path, model, 5, 2);
}

TEST_CASE_FIXTURE(ImageFolder, "a broken compressed cluster is an I/O error") {
  MockImage image = compressed_image(std::string(65536, '1'), std::string(65536, '2'));
  const uint64_t place = 5 * image.cluster_bytes;
  std::fill_n(image.bytes.begin() + static_cast<std::ptrdiff_t>(place), 8, '\xff');
  Image opened(put("disk.qcow2", image.bytes), true);
  std::string text(512, '\0');
  const iovec into{text.data(), text.size()};
  CHECK(opened.read(0, std::span(&into, 1)) == std::errc::io_error);
}

TEST_CASE_FIXTURE(ImageFolder, "the refcount table grows with the file") {
  // 512-byte clusters: one cluster of the table counts 8 MiB.
  MockImage mock(1 * kMiB, 12, 3, 6);
  const std::string path = put("disk.qcow2", mock.bytes);
  std::string model(kMiB, '\0');
  exercise(path, model, 9, 2);

  MockImage tiny(16 * kMiB, 9);
  tiny.bytes.resize(4 * 512);
  tiny.put<uint32_t>(36, 16 * kMiB / (512 * 64));
  tiny.bytes.resize((4 + 8) * 512, '\0');
  for (uint64_t cluster = 4; cluster < 3 + 8; ++cluster) tiny.count(cluster, 1);
  const std::string large = put("tiny.qcow2", tiny.bytes);
  {
    Image image(large, false);
    for (uint64_t at = 0; at < 16 * kMiB; at += kMiB) {
      REQUIRE_FALSE(write_text(image, at, std::string(kMiB, static_cast<char>('a' + at / kMiB))));
    }
  }
  CHECK(qemu_complaint(large) == "");
  Image image(large, true);
  for (uint64_t at = 0; at < 16 * kMiB; at += kMiB) {
    CHECK(read_text(image, at, kMiB) == std::string(kMiB, static_cast<char>('a' + at / kMiB)));
  }
}

TEST_CASE_FIXTURE(ImageFolder, "space that was given back is used again") {
  const std::string path = put("disk.qcow2", MockImage(64 * kMiB).bytes);
  Image image(path, false);
  for (int round = 0; round < 20; ++round) {
    REQUIRE_FALSE(write_text(image, 0, std::string(4 * kMiB, 'x')));
    REQUIRE_FALSE(image.discard(0, 4 * kMiB));
    REQUIRE_FALSE(image.flush());
  }
  CHECK(std::filesystem::file_size(path) < 10 * kMiB);
}

TEST_CASE_FIXTURE(ImageFolder,
                  "whenever the VMM dies, the image is sound and has what was flushed") {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    put("base.raw", std::string(kMiB, 'b'));
    MockImage mock(kMiB, 12);
    mock.set_backing("base.raw", "raw");
    const std::string path = put("disk.qcow2", mock.bytes);
    const std::string copy = this->path("copy.qcow2");
    std::string flushed(kMiB, 'b');
    std::string model = flushed;
    Image image(path, false);
    std::mt19937 random(seed);
    for (int step = 0; step < 60; ++step) {
      const uint64_t offset = random() % 2000 * 512;
      const uint64_t length = (1 + random() % 40) * 512;
      const uint64_t rest = std::min(length, kMiB - offset);
      if (random() % 4 == 0) {
        CHECK_FALSE(image.discard(offset, rest));
        model.replace(offset, rest, read_text(image, offset, rest));
      } else {
        CHECK_FALSE(
            write_text(image, offset, std::string(rest, static_cast<char>('c' + step % 20))));
        model.replace(offset, rest, std::string(rest, static_cast<char>('c' + step % 20)));
      }
      if (random() % 5 == 0) {
        CHECK_FALSE(image.flush());
        flushed = model;
      }
      std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
      CHECK(open_error(copy) == "");
      Image after(copy, true);
      const std::string found = read_text(after, 0, kMiB);
      for (uint64_t at = 0; at < kMiB; at += 512) {
        if (flushed.compare(at, 512, model, at, 512) != 0) continue;  // changed since
        if (found.compare(at, 512, flushed, at, 512) != 0) FAIL("lost what was flushed at ", at);
      }
    }
  }
}

TEST_CASE_FIXTURE(ImageFolder, "a full host disk is an error, and the image survives it") {
  const std::string path = put("disk.qcow2", MockImage(8 * kMiB).bytes);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_action = signal(SIGXFSZ, SIG_IGN);
  {
    Image image(path, false);
    CHECK_FALSE(write_text(image, 0, std::string(kMiB, 'a')));
    CHECK_FALSE(image.flush());
    rlimit small = before;
    small.rlim_cur = 2 * kMiB;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    bool failed = false;
    for (uint64_t at = kMiB; at < 4 * kMiB; at += 64 * 1024) {
      failed |= static_cast<bool>(write_text(image, at, std::string(64 * 1024, 'b')));
    }
    CHECK(failed);
    CHECK(read_text(image, 0, kMiB) == std::string(kMiB, 'a'));
    CHECK(write_text(image, 512, std::string(512, 'c')) == std::error_code{});
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_FALSE(write_text(image, 4 * kMiB, std::string(kMiB, 'd')));
    CHECK_FALSE(image.flush());
  }
  signal(SIGXFSZ, old_action);
  CHECK(qemu_complaint(path) == "");
  Image image(path, true);
  CHECK(read_text(image, 4 * kMiB, kMiB) == std::string(kMiB, 'd'));
}

TEST_CASE_FIXTURE(ImageFolder, "a file that shrinks in use is an error") {
  const std::string path = put("disk.qcow2", MockImage(kMiB).bytes);
  {
    Image image(path, false);
    REQUIRE_FALSE(write_text(image, 0, std::string(kMiB, 'a')));
  }
  Image image(path, true);
  REQUIRE(truncate(path.c_str(), 6 * 65536) == 0);
  std::string text(kMiB, '\0');
  const iovec into{text.data(), text.size()};
  CHECK(image.read(0, std::span(&into, 1)) == std::errc::io_error);
}

TEST_CASE_FIXTURE(ImageFolder, "an image has one writer") {
  const std::string path = put("disk.qcow2", MockImage(kMiB).bytes);
  {
    const Image writer(path, false);
    CHECK(contains(open_error(path), "another machine uses it"));
    CHECK(contains(open_error(path, true), "another machine uses it"));
  }
  const Image reader(path, true);
  CHECK(open_error(path, true) == "");
  CHECK(contains(open_error(path), "put an overlay on"));
}

}  // namespace vmm::test
