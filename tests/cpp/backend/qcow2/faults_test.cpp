// SPDX-License-Identifier: GPL-2.0-only
//
// A host whose storage fails at every write and every sync of a sequence, and whose power is cut at
// any time: flushed data is there when the image is opened again, and the image is consistent.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>

#include "../host_calls.hpp"
#include "mock_image.hpp"

namespace vmm::test {
namespace {

using backend::qcow2::Image;
using Fault = HostCalls::Fault;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kDiskBytes = 256 << 10;
constexpr uint64_t kSector = 512;
constexpr int kSteps = 30;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The valid contents of a disk: for each sector the letters that may fill it, the last one if there
// was no failure since; a star is any content.
class Model {
 public:
  explicit Model(const std::string& disk) {
    for (uint64_t at = 0; at < disk.size(); at += kSector) sectors_.emplace_back(1, disk[at]);
  }

  void change(uint64_t first, uint64_t count, char letter) {
    for (uint64_t sector = first; sector < first + count; ++sector) sectors_[sector] += letter;
  }
  void change_to(uint64_t first, const std::string& content) {
    for (uint64_t at = 0; at < content.size(); at += kSector) {
      sectors_[first + at / kSector] += content[at];
    }
  }
  void flushed() {
    for (std::string& letters : sectors_) letters.erase(0, letters.size() - 1);
  }
  uint64_t sectors() const { return sectors_.size(); }

  // The first sector with an invalid content; -1 for none.
  int64_t mismatch(const std::string& disk) const {
    for (uint64_t sector = 0; sector < sectors_.size(); ++sector) {
      const std::string_view shown(disk.data() + sector * kSector, kSector);
      const bool uniform = shown.substr(1) == shown.substr(0, kSector - 1);
      const bool known = uniform && sectors_[sector].find(shown[0]) != std::string::npos;
      if (!known && sectors_[sector].find('*') == std::string::npos) {
        return static_cast<int64_t>(sector);
      }
    }
    return -1;
  }

 private:
  std::vector<std::string> sectors_;
};

// Makes the same requests for the same seed, whatever their results.
class Guest {
 public:
  Guest(Image& image, Model& model, uint32_t seed) : image_(image), model_(model), random_(seed) {}

  void step() {
    const uint64_t first = random_() % model_.sectors();
    const uint64_t count = 1 + random_() % std::min<uint64_t>(model_.sectors() - first, 12);
    const uint64_t action = random_() % 8;
    const char letter = static_cast<char>('a' + random_() % 26);
    if (action == 0) {
      flush();
    } else if (action == 1) {
      const bool failed{image_.discard(first * kSector, count * kSector)};
      show(first, count, failed);
    } else if (action == 2) {
      const bool failed{image_.write_zeroes(first * kSector, count * kSector, letter < 'n')};
      model_.change(first, count, failed ? '*' : '\0');
    } else {
      write(first, count, letter);
    }
  }
  void write(uint64_t first, uint64_t count, char letter) {
    const bool failed{write_text(image_, first * kSector, std::string(count * kSector, letter))};
    model_.change(first, count, failed ? '*' : letter);
  }
  // Returns whether it failed.
  bool flush() {
    const bool failed{image_.flush()};
    if (!failed) model_.flushed();
    return failed;
  }

 private:
  // The image chooses the content of a discarded range.
  void show(uint64_t first, uint64_t count, bool failed) {
    if (failed) return model_.change(first, count, '*');
    model_.change_to(first, read_text(image_, first * kSector, count * kSector));
  }

  Image& image_;
  Model& model_;
  std::mt19937 random_;
};

struct Subject {
  std::string file;
  std::string disk;
  uint64_t filled;  // sectors written at the start, without a flush
};

// A used image whose refcount table is almost full: most counted clusters have no user. The first
// writes take the last refcount block, which the table on the disk does not refer to yet, and then
// make the table grow.
Subject almost_full(const ImageFolder& folder) {
  constexpr uint64_t kPlaces = 64;  // in a table of one cluster of 512 bytes
  constexpr uint64_t kPerBlock = 64;
  MockImage mock(kDiskBytes, 9, 3, 6);
  for (uint64_t place = 0; place < kPlaces - 2; ++place) {
    const uint64_t block = place == 0 ? 2 * 512 : (3 + place) * 512;
    mock.put<uint64_t>(512 + 8 * place, block);
    for (uint64_t i = 0; i < kPerBlock; ++i) mock.put<uint64_t>(block + 8 * i, 1);
  }
  constexpr uint64_t kUsed = 20;  // sectors
  const std::string path = folder.put("template.qcow2", mock.bytes);
  {
    Image image(path, false);
    REQUIRE_FALSE(write_text(image, 0, std::string(kUsed * kSector, 'A')));
  }
  std::string disk(kDiskBytes, '\0');
  disk.replace(0, kUsed * kSector, kUsed * kSector, 'A');
  return {content_of(path), disk, 140};
}

Subject on_a_backing_file(const ImageFolder& folder) {
  MockImage mock(kDiskBytes, 12);
  mock.set_backing("base.raw", "raw");
  const std::string disk(kDiskBytes, 'b');
  folder.put("base.raw", disk);
  return {mock.bytes, disk, 0};
}

uint64_t refcount_table_of(const std::string& path) {
  const std::string file = content_of(path);
  return backend::qcow2::load<uint64_t>(std::as_bytes(std::span(file)),
                                        backend::qcow2::kRefcountTableOffsetAt);
}

// A guest's behaviour after an error: it goes on, or only flushes.
enum class Then { kGoesOn, kStops };

// Runs the sequence with a fault in one call. Returns whether that call was made.
bool run(const ImageFolder& folder, const Subject& subject, Fault fault, bool in_sync, int which,
         Then then = Then::kGoesOn) {
  const std::string path = folder.put("disk.qcow2", subject.file);
  Model model(subject.disk);
  HostCalls calls(path);
  const auto one = [=](int number) { return number == which ? fault : Fault::kNone; };
  {
    Image image(path, false);
    (in_sync ? calls.sync_fault : calls.write_fault) = one;
    Guest guest(image, model, 7);
    const auto goes_on = [&] {
      return then == Then::kGoesOn || (in_sync ? calls.syncs : calls.writes) <= which;
    };
    for (uint64_t at = 0; at < subject.filled && goes_on(); at += 20) {
      guest.write(20 + at, 20, 'F');
    }
    for (int step = 0; step < kSteps && goes_on(); ++step) guest.step();
    // After an error of a write a later flush may succeed; after an error of a sync none does.
    const bool failed = guest.flush() && (in_sync || guest.flush());
    CHECK(failed == (in_sync && calls.syncs > which));
  }
  const bool reached = (in_sync ? calls.syncs : calls.writes) > which;
  const std::string error = open_error(path);
  CHECK_MESSAGE(error.empty(), error);
  if (!error.empty()) return reached;
  Image after(path, true);
  CHECK(model.mismatch(read_text(after, 0, subject.disk.size())) == -1);
  return reached;
}

}  // namespace

TEST_CASE_FIXTURE(ImageFolder, "the sequence makes the refcount table grow") {
  const Subject subject = almost_full(*this);
  const std::string path = put("before", subject.file);
  CHECK_FALSE(run(*this, subject, Fault::kNone, false, 1 << 20));
  CHECK(refcount_table_of(this->path("disk.qcow2")) > refcount_table_of(path));
}

TEST_CASE_FIXTURE(ImageFolder, "an error in any write loses nothing that was flushed") {
  const std::pair<Fault, Then> kinds[] = {{Fault::kRefused, Then::kStops},
                                          {Fault::kDone, Then::kStops},
                                          {Fault::kHalf, Then::kStops},
                                          {Fault::kRefused, Then::kGoesOn}};
  for (const Subject& subject : {almost_full(*this), on_a_backing_file(*this)}) {
    for (const auto& [fault, then] : kinds) {
      int which = 0;
      bool reached = true;
      while (reached && which < 2000) {
        CAPTURE(subject.filled);
        CAPTURE(fault);
        CAPTURE(then);
        CAPTURE(which);
        reached = run(*this, subject, fault, false, which++, then);
      }
      CHECK(which > 40);
    }
  }
}

TEST_CASE_FIXTURE(ImageFolder, "an error in any sync fails all later flushes") {
  for (const Subject& subject : {almost_full(*this), on_a_backing_file(*this)}) {
    int which = 0;
    bool reached = true;
    while (reached && which < 500) {
      CAPTURE(subject.filled);
      CAPTURE(which);
      reached = run(*this, subject, Fault::kRefused, true, which++);
    }
    CHECK(which > 8);
  }
}

// Data written since the last sync may be on the disk or not, sector by sector.
TEST_CASE_FIXTURE(ImageFolder, "a power cut leaves a sound image with what was flushed") {
  for (const Subject& subject : {almost_full(*this), on_a_backing_file(*this)}) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      CAPTURE(subject.filled);
      CAPTURE(seed);
      const std::string path = put("disk.qcow2", subject.file);
      std::string stable = subject.file;
      Model model(subject.disk);
      std::mt19937 random(seed);
      HostCalls calls(path);
      const auto apply = [](std::string& file, const HostCalls::Change& change, auto survives) {
        file.resize(std::max<size_t>(file.size(), change.offset + change.bytes.size()));
        for (uint64_t at = 0; at < change.bytes.size(); at += kSector) {
          const uint64_t length = std::min<uint64_t>(kSector, change.bytes.size() - at);
          if (survives()) file.replace(change.offset + at, length, change.bytes, at, length);
        }
      };
      calls.on_sync = [&] {
        for (const auto& change : calls.unsynced) apply(stable, change, [] { return true; });
      };
      Image image(path, false);
      Guest guest(image, model, seed);
      const uint64_t fills = subject.filled / 20;
      for (uint64_t step = 0; step < fills + kSteps; ++step) {
        CAPTURE(step);
        if (step < fills) {
          guest.write(20 + step * 20, 20, 'F');
        } else {
          guest.step();
        }
        std::string cut = stable;
        for (const auto& change : calls.unsynced) {
          apply(cut, change, [&] { return random() % 2 == 0; });
        }
        const std::string copy = put("cut.qcow2", cut);
        const std::string error = open_error(copy);
        REQUIRE_MESSAGE(error.empty(), error);
        Image after(copy, true);
        REQUIRE(model.mismatch(read_text(after, 0, subject.disk.size())) == -1);
      }
    }
  }
}

TEST_CASE_FIXTURE(ImageFolder, "an overwrite syncs nothing, however large the disk") {
  constexpr uint64_t kDisk = 64ULL << 30;
  constexpr uint64_t kPerTable = 512 * kMiB;
  const std::string path = put("disk.qcow2", MockImage(kDisk).bytes);
  {
    Image image(path, false);
    for (uint64_t at = 0; at < kDisk; at += kPerTable) {
      REQUIRE_FALSE(write_text(image, at, std::string(kSector, 'a')));
    }
  }
  Image image(path, false);
  HostCalls calls(path);
  for (uint64_t i = 0; i < 1000; ++i) {
    REQUIRE_FALSE(write_text(image, i % 128 * kPerTable, std::string(kSector, 'b')));
  }
  CHECK(calls.syncs == 0);
  // New clusters in a few tables, among many clean ones.
  for (uint64_t i = 1; i <= 40; ++i) {
    REQUIRE_FALSE(write_text(image, i % 4 * kPerTable + i * kMiB, std::string(kSector, 'c')));
  }
  CHECK(calls.syncs == 0);
  // All tables have changes: they are written back, once.
  for (uint64_t at = 0; at < kDisk; at += kPerTable) {
    REQUIRE_FALSE(write_text(image, at + 100 * kMiB, std::string(kSector, 'd')));
  }
  CHECK(calls.syncs >= 1);
  CHECK(calls.syncs <= 4);
}

TEST_CASE_FIXTURE(ImageFolder, "what was never written is not read when an image is checked") {
  constexpr uint64_t kCluster = 2 * kMiB;
  constexpr uint64_t kTables = 2000;
  MockImage mock(kMiB, 21);
  mock.put<uint32_t>(36, kTables);
  for (uint64_t i = 0; i < kTables; ++i) {
    mock.put<uint64_t>(3 * kCluster + 8 * i, (4 + i) * kCluster | backend::qcow2::kCopied);
  }
  const std::string path = put("disk.qcow2", mock.bytes);
  std::filesystem::resize_file(path, (4 + kTables) * kCluster);
  HostCalls calls(path);
  CHECK(open_error(path, true) == "");
  CHECK(calls.read_bytes < 16 * kMiB);
  // Without known holes, this is too much to check.
  calls.knows_holes = false;
  calls.read_bytes = 0;
  CHECK(contains(open_error(path, true), "more than 1 GiB of L2 tables"));
  CHECK(calls.read_bytes < 16 * kMiB);
}

}  // namespace vmm::test
