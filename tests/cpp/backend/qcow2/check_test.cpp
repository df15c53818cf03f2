// SPDX-License-Identifier: GPL-2.0-only
//
// Which images are refused, and with which message: unknown or wrong headers, corrupt tables.
#include "backend/qcow2/check.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <random>

#include "mock_image.hpp"

namespace vmm::test {
namespace {

namespace qcow2 = backend::qcow2;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kCluster = 65536;

struct Damage {
  const char* words;
  std::function<void(MockImage&)> apply;
  bool read_only_too = true;
};

// An image with a table and two clusters of data.
MockImage sound() {
  MockImage image(kMiB);
  const uint64_t l2 = image.add_l2();
  for (uint64_t i = 0; i < 2; ++i) {
    image.put<uint64_t>(l2 + 8 * i, image.add_cluster("data") | qcow2::kCopied);
  }
  return image;
}
constexpr uint64_t kL1 = 3 * kCluster;
constexpr uint64_t kL2 = 4 * kCluster;
constexpr uint64_t kData = 5 * kCluster;

const Damage kDamages[] = {
    {"is not a qcow2 image", [](MockImage& i) { i.bytes[0] = 'X'; }},
    {"is not a qcow2 image", [](MockImage& i) { i.bytes.resize(40); }},
    {"has qcow2 version 4", [](MockImage& i) { i.put<uint32_t>(4, 4); }},
    {"ends in its header", [](MockImage& i) { i.bytes.resize(90); }},
    {"is encrypted", [](MockImage& i) { i.put<uint32_t>(32, 1); }},
    {"clusters of 2^8", [](MockImage& i) { i.put<uint32_t>(20, 8); }},
    {"clusters of 2^63", [](MockImage& i) { i.put<uint32_t>(20, 63); }},
    {"refcounts of 2^7", [](MockImage& i) { i.put<uint32_t>(96, 7); }},
    {"not whole sectors", [](MockImage& i) { i.put<uint64_t>(24, 1000); }},
    {"an L1 table too short", [](MockImage& i) { i.put<uint64_t>(24, 1ULL << 40); }},
    {"too long an L1 table", [](MockImage& i) { i.put<uint32_t>(36, ~0U); }},
    {"L1 table at 12345", [](MockImage& i) { i.put<uint64_t>(40, 12345); }},
    {"L1 table at 0", [](MockImage& i) { i.put<uint64_t>(40, 0); }},
    {"refcount table at 1", [](MockImage& i) { i.put<uint64_t>(48, 1); }},
    {"refcount table of 0", [](MockImage& i) { i.put<uint32_t>(56, 0); }},
    {"refcount table of 4294967295", [](MockImage& i) { i.put<uint32_t>(56, ~0U); }},
    {"keeps its data in another file", [](MockImage& i) { i.put<uint64_t>(72, 4); }},
    {"not compressed by zlib", [](MockImage& i) { i.put<uint64_t>(72, 8); }},
    {"extended L2", [](MockImage& i) { i.put<uint64_t>(72, 16); }},
    {"features that nobody here knows: bits 32", [](MockImage& i) { i.put<uint64_t>(72, 32); }},
    {"marked as corrupt", [](MockImage& i) { i.put<uint64_t>(72, 2); }},
    {"was not closed", [](MockImage& i) { i.put<uint64_t>(72, 1); }, false},
    {"holds snapshots", [](MockImage& i) { i.put<uint32_t>(60, 1); }, false},
    {"holds bitmaps", [](MockImage& i) { i.put<uint64_t>(88, 1); }, false},
    {"outside of its header",
     [](MockImage& i) {
       i.put<uint64_t>(8, 1ULL << 40);
       i.put<uint32_t>(16, 9);
     }},
    {"outside of its header",
     [](MockImage& i) {
       i.put<uint64_t>(8, 200);
       i.put<uint32_t>(16, 5000);
     }},
    {"does not say whether", [](MockImage& i) { i.set_backing("base", ""); }},
    {"does not say whether", [](MockImage& i) { i.set_backing("base", "vmdk"); }},
    {"is no local file", [](MockImage& i) { i.set_backing("nbd:host:1", "raw"); }},
    {"is no local file", [](MockImage& i) { i.set_backing("json:{}", "raw"); }},
    {"No such file", [](MockImage& i) { i.set_backing("none", "qcow2"); }},
    {"No such file", [](MockImage& i) { i.set_backing("none", "raw"); }},
    {"extensions that do not end",
     [](MockImage& i) {
       i.set_backing("b", "raw");
       i.put<uint32_t>(108, ~0U);
     }},
    {"impossible L1 entry, number 0", [](MockImage& i) { i.put<uint64_t>(kL1, kL2 | 1); }},
    {"L2 table at 1099511627776", [](MockImage& i) { i.put<uint64_t>(kL1, 1ULL << 40); }},
    {"L2 table at 512", [](MockImage& i) { i.put<uint64_t>(kL1, 512); }},
    {"twice, once for a L2 table", [](MockImage& i) { i.put<uint64_t>(kL1, kL1); }},
    {"impossible L2 entry for cluster 1",
     [](MockImage& i) { i.put<uint64_t>(kL2 + 8, kData | 2); }},
    {"impossible L2 entry for cluster 0", [](MockImage& i) { i.put<uint64_t>(kL2, 1ULL << 40); }},
    {"impossible L2 entry for cluster 0", [](MockImage& i) { i.put<uint64_t>(kL2, kData + 512); }},
    {"impossible L2 entry for cluster 2",
     [](MockImage& i) { i.put<uint64_t>(kL2 + 16, qcow2::kCompressed | 1ULL << 40); }},
    {"twice, once for a cluster of the disk",
     [](MockImage& i) { i.put<uint64_t>(kL2 + 8, kData); }},
    {"twice, once for a cluster of the disk", [](MockImage& i) { i.put<uint64_t>(kL2, kL2); }},
    {"twice, once for a compressed",
     [](MockImage& i) { i.put<uint64_t>(kL2 + 16, qcow2::kCompressed | kData); }},
    {"counts 0 uses of the cluster at 327680", [](MockImage& i) { i.count(5, 0); }, false},
    {"counts 0 uses of the cluster at 0", [](MockImage& i) { i.count(0, 0); }, false},
    {"refcount block at 1", [](MockImage& i) { i.put<uint64_t>(kCluster, 1); }},
};

}  // namespace

TEST_CASE_FIXTURE(ImageFolder, "what is sound is accepted") {
  const std::string path = put("disk.qcow2", sound().bytes);
  CHECK(open_error(path) == "");
  CHECK(open_error(path, true) == "");
  CHECK(qemu_complaint(path) == "");
}

TEST_CASE_FIXTURE(ImageFolder, "each kind of damage is refused by its name") {
  for (const Damage& damage : kDamages) {
    CAPTURE(damage.words);
    MockImage image = sound();
    damage.apply(image);
    const std::string path = put("disk.qcow2", image.bytes);
    const std::string error = open_error(path);
    CAPTURE(error);
    CHECK(contains(error, damage.words));
    CHECK(contains(error, path));
    CHECK((open_error(path, true) == "") == !damage.read_only_too);
  }
}

TEST_CASE_FIXTURE(ImageFolder, "space that is counted and not used is no damage") {
  MockImage image = sound();
  image.count(9, 3);
  image.count(5, 2);
  CHECK(open_error(put("disk.qcow2", image.bytes)) == "");
}

TEST_CASE_FIXTURE(ImageFolder, "backing files that lead back are refused") {
  MockImage one(kMiB);
  one.set_backing("two.qcow2", "qcow2");
  MockImage two(kMiB);
  two.set_backing("one.qcow2", "qcow2");
  const std::string path = put("one.qcow2", one.bytes);
  put("two.qcow2", two.bytes);
  CHECK(contains(open_error(path), "leads back to itself"));
  MockImage own(kMiB);
  own.set_backing("own.qcow2", "qcow2");
  CHECK(contains(open_error(put("own.qcow2", own.bytes)), "leads back to itself"));
}

TEST_CASE_FIXTURE(ImageFolder, "a tower of backing files ends") {
  for (int floor = 0; floor < 20; ++floor) {
    MockImage image(kMiB);
    if (floor > 0) image.set_backing("floor" + std::to_string(floor - 1), "qcow2");
    put("floor" + std::to_string(floor), image.bytes);
  }
  CHECK(open_error(path("floor16")) == "");
  CHECK(contains(open_error(path("floor17")), "stands on more than 16"));
}

// With any bytes, opening either works or reports an error, and reading either works or fails.
TEST_CASE_FIXTURE(ImageFolder, "random damage harms nobody") {
  int opened = 0;
  int refused = 0;
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    MockImage image = sound();
    for (uint64_t i = 0; i < 1 + random() % 4; ++i) {
      const uint64_t regions[] = {0, kCluster, 2 * kCluster, kL1, kL2};
      const uint64_t at = regions[random() % 5] + random() % 112;
      image.bytes[at] = static_cast<char>(random());
    }
    const std::string path = put("disk.qcow2", image.bytes);
    if (open_error(path) != "") {
      ++refused;
      continue;
    }
    ++opened;
    backend::qcow2::Image disk(path, false);
    std::string text(std::min<uint64_t>(disk.size_bytes(), 4 * kMiB), 'x');
    const iovec buffer{text.data(), text.size()};
    static_cast<void>(disk.read(0, std::span(&buffer, 1)));
    static_cast<void>(disk.write(0, std::span(&buffer, 1)));
    static_cast<void>(disk.flush());
  }
  CHECK(opened > 20);
  CHECK(refused > 100);
}

}  // namespace vmm::test
