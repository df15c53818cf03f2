// SPDX-License-Identifier: GPL-2.0-only
#include "backend/volatile_cache.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../virtio/memory_backend.hpp"
#include "backend/raw_file.hpp"
#include "host_calls.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {
namespace {

using backend::VolatileCache;

constexpr uint64_t kSector = backend::kSectorBytes;
constexpr uint64_t kExtentCost = VolatileCache::kExtentCostBytes;

// Outlives the cache that owns it, as an image file outlives the VMM.
class Borrowed final : public backend::BlockBackend {
 public:
  explicit Borrowed(BlockBackend& disk) : disk_(disk) {}

  uint64_t size_bytes() const override { return disk_.size_bytes(); }
  bool read_only() const override { return disk_.read_only(); }
  std::string identity() const override { return disk_.identity(); }
  std::error_code read(uint64_t offset, std::span<const iovec> into) override {
    return disk_.read(offset, into);
  }
  std::error_code write(uint64_t offset, std::span<const iovec> from) override {
    return disk_.write(offset, from);
  }
  std::error_code flush() override { return disk_.flush(); }
  std::error_code discard(uint64_t offset, uint64_t length) override {
    return disk_.discard(offset, length);
  }
  std::error_code write_zeroes(uint64_t offset, uint64_t length, bool may_unmap) override {
    return disk_.write_zeroes(offset, length, may_unmap);
  }

 private:
  BlockBackend& disk_;
};

class Fixture {
 public:
  static constexpr uint64_t kSectors = 1024;

  Fixture() : disk(kSectors * kSector) {
    std::fill(disk.bytes.begin(), disk.bytes.end(), '.');
    power_on();
  }

  void power_on(uint64_t max_bytes = VolatileCache::kDefaultMaxBytes) {
    cache = std::make_unique<VolatileCache>(std::make_unique<Borrowed>(disk), max_bytes);
  }

  std::error_code write(uint64_t sector, uint64_t count, char letter) {
    std::string bytes(count * kSector, letter);
    const iovec from{bytes.data(), bytes.size()};
    return cache->write(sector * kSector, std::span(&from, 1));
  }

  std::string read(uint64_t sector, uint64_t count) {
    std::string bytes(count * kSector, '?');
    const iovec into{bytes.data(), bytes.size()};
    CHECK_FALSE(cache->read(sector * kSector, std::span(&into, 1)));
    return bytes;
  }

  // One letter per sector, as read through the cache, or on the disk.
  std::string letters(uint64_t sector, uint64_t count) { return shorten(read(sector, count)); }
  std::string on_disk(uint64_t sector, uint64_t count) const {
    return shorten(disk.bytes.substr(sector * kSector, count * kSector));
  }

  static std::string shorten(const std::string& bytes) {
    std::string letters;
    for (uint64_t at = 0; at < bytes.size(); at += kSector) {
      const char letter = bytes[at];
      CHECK(bytes.substr(at, kSector) == std::string(kSector, letter));
      letters += letter == '\0' ? '0' : letter;
    }
    return letters;
  }

  MemoryBackend disk;
  std::unique_ptr<VolatileCache> cache;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the cache shows the wrapped disk") {
  CHECK(cache->size_bytes() == disk.size_bytes());
  CHECK(cache->identity() == disk.identity());
  CHECK_FALSE(cache->read_only());
  CHECK(letters(0, 2) == "..");
}

TEST_CASE_FIXTURE(Fixture, "a write is read back at once and on the disk after a flush") {
  CHECK_FALSE(write(1, 2, 'a'));
  CHECK(letters(0, 4) == ".aa.");
  CHECK(on_disk(0, 4) == "....");
  CHECK(disk.flushes == 0);
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, 4) == ".aa.");
  CHECK(disk.flushes == 1);
  CHECK(letters(0, 4) == ".aa.");
}

TEST_CASE_FIXTURE(Fixture, "the end of the cache loses what was not flushed") {
  CHECK_FALSE(write(0, 1, 'a'));
  CHECK_FALSE(cache->flush());
  CHECK_FALSE(write(0, 2, 'b'));
  CHECK_FALSE(cache->discard(2 * kSector, kSector));
  CHECK_FALSE(cache->write_zeroes(3 * kSector, kSector, true));
  CHECK(letters(0, 5) == "bb00.");
  power_on();
  CHECK(letters(0, 5) == "a....");
  CHECK(disk.writes == 1);
  CHECK(disk.discards + disk.unmaps == 0);
}

TEST_CASE_FIXTURE(Fixture, "a flush with nothing to write back still flushes the disk") {
  CHECK_FALSE(cache->flush());
  CHECK(disk.flushes == 1);
  CHECK(disk.writes == 0);
}

TEST_CASE_FIXTURE(Fixture, "later writes win wherever they overlap earlier ones") {
  CHECK_FALSE(write(2, 6, 'a'));
  CHECK_FALSE(write(4, 2, 'b'));  // inside
  CHECK_FALSE(write(1, 2, 'c'));  // over the start
  CHECK_FALSE(write(7, 2, 'd'));  // over the end
  CHECK_FALSE(write(5, 1, 'e'));  // up to an edge
  CHECK(letters(0, 10) == ".ccabeadd.");
  CHECK_FALSE(write(3, 4, 'f'));  // over several
  CHECK(letters(0, 10) == ".ccffffdd.");
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, 10) == ".ccffffdd.");
  CHECK(cache->cached_bytes() == 0);
}

TEST_CASE_FIXTURE(Fixture, "writes, zeroes and discards count in the order in which they came") {
  CHECK_FALSE(write(0, 8, 'a'));
  CHECK_FALSE(cache->write_zeroes(1 * kSector, 3 * kSector, false));
  CHECK_FALSE(write(2, 1, 'b'));
  CHECK_FALSE(cache->discard(5 * kSector, 2 * kSector));
  CHECK_FALSE(write(6, 1, 'c'));
  CHECK(letters(0, 9) == "a0b0a0ca.");
  CHECK(on_disk(0, 9) == ".........");
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, 9) == "a0b0a0ca.");
  CHECK(disk.zeroes == 2);
  CHECK(disk.discards == 1);
  CHECK(disk.unmaps == 0);
  CHECK_FALSE(cache->write_zeroes(0, kSector, true));
  CHECK_FALSE(cache->flush());
  CHECK(disk.unmaps == 1);
}

TEST_CASE_FIXTURE(Fixture, "buffers may be split anywhere and empty") {
  std::string bytes(3 * kSector, 'x');
  char* start = bytes.data();
  const std::array<iovec, 4> from{{{start, 100}, {start, 0}, {start + 100, 1000}, {start, 436}}};
  CHECK_FALSE(cache->write(kSector, from));
  CHECK(letters(0, 5) == ".xxx.");
  std::string first(600, '?');
  std::string second(5 * kSector - 600, '?');
  const std::array<iovec, 3> into{
      {{first.data(), first.size()}, {start, 0}, {second.data(), second.size()}}};
  CHECK_FALSE(cache->read(0, into));
  CHECK(shorten(first + second) == ".xxx.");
  CHECK_FALSE(cache->write(0, {}));
  CHECK_FALSE(cache->discard(0, 0));
}

TEST_CASE_FIXTURE(Fixture, "the disk is read only for what the cache does not have") {
  CHECK_FALSE(write(0, 2, 'a'));
  disk.bad_byte = kSector;
  CHECK(letters(0, 4) == "aa..");
  CHECK(disk.reads == 1);
  CHECK(letters(0, 2) == "aa");
  CHECK(disk.reads == 1);
  disk.bad_byte = 3 * kSector;
  std::string bytes(4 * kSector, '?');
  const iovec into{bytes.data(), bytes.size()};
  CHECK(cache->read(0, std::span(&into, 1)) == std::errc::io_error);
}

TEST_CASE_FIXTURE(Fixture, "a flush that fails in the middle keeps what is not on the disk") {
  CHECK_FALSE(write(0, 1, 'a'));
  CHECK_FALSE(write(2, 1, 'b'));
  CHECK_FALSE(write(4, 1, 'c'));
  CHECK_FALSE(cache->write_zeroes(6 * kSector, kSector, false));
  disk.bad_byte = 2 * kSector + 7;
  CHECK(cache->flush() == std::errc::io_error);
  CHECK(disk.flushes == 0);
  CHECK(on_disk(0, 7) == "a......");
  CHECK(letters(0, 7) == "a.b.c.0");
  disk.bad_byte = 6 * kSector;
  CHECK(cache->flush() == std::errc::io_error);
  CHECK(on_disk(0, 7) == "a.b.c..");
  disk.bad_byte.reset();
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, 7) == "a.b.c.0");
  CHECK(disk.flushes == 1);
}

TEST_CASE_FIXTURE(Fixture, "the wrapped disk's failure to flush is the caller's") {
  CHECK_FALSE(write(0, 1, 'a'));
  disk.flush_error = std::make_error_code(std::errc::no_space_on_device);
  CHECK(cache->flush() == std::errc::no_space_on_device);
  CHECK(letters(0, 1) == "a");
}

TEST_CASE_FIXTURE(Fixture, "what is written back stays in the cache until it is flushed") {
  CHECK_FALSE(write(0, 2, 'a'));
  CHECK_FALSE(cache->discard(4 * kSector, kSector));
  const uint64_t cached = cache->cached_bytes();
  disk.flush_error = std::make_error_code(std::errc::io_error);
  CHECK(cache->flush() == std::errc::io_error);
  CHECK(cache->cached_bytes() == cached);
  // The host dropped data that it could not write.
  std::fill(disk.bytes.begin(), disk.bytes.end(), '.');
  CHECK(letters(0, 6) == "aa..0.");
  disk.flush_error = {};
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, 6) == "aa..0.");
  CHECK(cache->cached_bytes() == 0);
}

TEST_CASE("a flush that failed below the cache is final, and the cache keeps what it has") {
  const TemporaryFolder folder;
  std::ofstream(folder / "image") << std::string(8 * kSector, '.');
  VolatileCache cache(std::make_unique<backend::RawFile>(folder / "image", false));
  std::string bytes(kSector, 'a');
  const iovec from{bytes.data(), bytes.size()};
  CHECK_FALSE(cache.write(0, std::span(&from, 1)));
  HostCalls calls(folder / "image");
  calls.sync_fault = [](int number) {
    return number == 0 ? HostCalls::Fault::kRefused : HostCalls::Fault::kNone;
  };
  CHECK(cache.flush() == std::errc::io_error);
  CHECK(cache.flush() == std::errc::io_error);
  CHECK(cache.cached_bytes() > 0);
}

TEST_CASE_FIXTURE(Fixture, "a full cache writes back the lowest offsets and flushes nothing") {
  const uint64_t one = kSector + kExtentCost;
  power_on(3 * one + kExtentCost);
  CHECK_FALSE(write(4, 1, 'a'));
  CHECK_FALSE(write(2, 1, 'b'));
  CHECK_FALSE(write(6, 1, 'c'));
  CHECK(on_disk(0, 8) == "........");
  CHECK(cache->cached_bytes() == 3 * one);
  CHECK_FALSE(write(0, 1, 'd'));
  CHECK(on_disk(0, 8) == "..b.....");
  CHECK(letters(0, 8) == "d.b.a.c.");
  CHECK(disk.flushes == 0);
}

TEST_CASE_FIXTURE(Fixture, "a full cache that can't be written back takes no more") {
  power_on(kSector + 3 * kExtentCost);
  CHECK_FALSE(write(0, 1, 'a'));
  disk.bad_byte = 0;
  CHECK(write(2, 1, 'b') == std::errc::io_error);
  CHECK_FALSE(cache->discard(4 * kSector, kSector));
  CHECK(cache->discard(6 * kSector, kSector) == std::errc::io_error);
  CHECK(letters(0, 8) == "a...0...");
  disk.bad_byte.reset();
  CHECK_FALSE(write(2, 1, 'b'));
  CHECK(letters(0, 3) == "a.b");
}

TEST_CASE_FIXTURE(Fixture, "a write larger than the cache goes through it in pieces") {
  const uint64_t sectors = 3 * VolatileCache::kMaxExtentBytes / kSector + 1;
  power_on(VolatileCache::kMaxExtentBytes);
  CHECK_FALSE(write(1, sectors, 'a'));
  CHECK(letters(0, sectors + 2) == "." + std::string(sectors, 'a') + ".");
  CHECK(cache->cached_bytes() <= VolatileCache::kMaxExtentBytes + 2 * kExtentCost);
  CHECK_FALSE(cache->flush());
  CHECK(on_disk(0, sectors + 2) == "." + std::string(sectors, 'a') + ".");
}

TEST_CASE_FIXTURE(Fixture, "what many small cuts leave behind is counted") {
  CHECK_FALSE(write(0, 128, 'a'));
  for (uint64_t sector = 0; sector < 128; sector += 2) {
    CHECK_FALSE(cache->discard(sector * kSector, kSector));
  }
  CHECK(cache->cached_bytes() == 64 * kSector + 128 * kExtentCost);
  CHECK_FALSE(cache->discard(0, kSectors * kSector));
  CHECK(cache->cached_bytes() == kExtentCost);
}

// Compares with two strings: what the guest must read and, if `max_bytes` is so large that nothing
// is written back early, what must be left after a power cut.
void compare_with_model(uint64_t max_bytes, bool exact_cut, uint32_t seed) {
  CAPTURE(seed);
  Fixture fixture;
  fixture.power_on(max_bytes);
  std::mt19937 random(seed);
  const auto below = [&](uint64_t end) { return random() % end; };
  std::string seen = fixture.disk.bytes;
  std::string durable = seen;
  for (int step = 0; step < 1500; ++step) {
    CAPTURE(step);
    // Mostly in a small part of the disk, where ranges overlap.
    const uint64_t sectors = below(8) == 0 ? Fixture::kSectors : 48;
    const uint64_t first = below(sectors);
    const uint64_t count = 1 + below(std::min<uint64_t>(sectors - first, below(8) == 0 ? 200 : 12));
    const uint64_t offset = first * kSector;
    const uint64_t length = count * kSector;
    const uint64_t action = below(40);
    if (action < 20) {
      const char letter = static_cast<char>('a' + below(26));
      REQUIRE_FALSE(fixture.write(first, count, letter));
      seen.replace(offset, length, length, letter);
    } else if (action < 24) {
      REQUIRE_FALSE(fixture.cache->discard(offset, length));
      seen.replace(offset, length, length, '\0');
    } else if (action < 28) {
      REQUIRE_FALSE(fixture.cache->write_zeroes(offset, length, below(2) == 0));
      seen.replace(offset, length, length, '\0');
    } else if (action < 38) {
      REQUIRE(fixture.read(first, count) == seen.substr(offset, length));
    } else if (action == 38) {
      REQUIRE_FALSE(fixture.cache->flush());
      durable = seen;
      REQUIRE(fixture.disk.bytes == durable);
    } else if (exact_cut) {
      fixture.power_on(max_bytes);
      REQUIRE(fixture.disk.bytes == durable);
      seen = durable;
    }
  }
  CHECK(fixture.read(0, Fixture::kSectors) == seen);
}

TEST_CASE("random requests and power cuts leave what a model says") {
  for (const uint32_t seed : {1U, 2U, 3U, 4U}) {
    compare_with_model(VolatileCache::kDefaultMaxBytes, true, seed);
  }
}

TEST_CASE("random requests to a small cache read as a model says") {
  for (const uint32_t seed : {5U, 6U, 7U, 8U}) compare_with_model(16 << 10, false, seed);
}

struct TransientFixture : Fixture {
  TransientFixture() { power_on(VolatileCache::kTransientMaxBytes); }
  void power_on(uint64_t max_bytes) {
    cache = std::make_unique<VolatileCache>(std::make_unique<Borrowed>(disk), max_bytes,
                                            backend::WriteBack::kNever);
  }
};

TEST_CASE_FIXTURE(TransientFixture, "a transient disk never writes to its image") {
  CHECK_FALSE(cache->read_only());
  CHECK_FALSE(write(1, 2, 'a'));
  CHECK_FALSE(cache->write_zeroes(4 * kSector, kSector, false));
  CHECK_FALSE(cache->discard(5 * kSector, kSector));
  CHECK_FALSE(cache->flush());
  CHECK(letters(0, 7) == ".aa.00.");
  cache.reset();
  CHECK(on_disk(0, 7) == ".......");
  CHECK(disk.writes + disk.flushes + disk.discards + disk.zeroes == 0);
}

TEST_CASE_FIXTURE(TransientFixture,
                  "a transient disk that is full says so, and keeps what it has") {
  power_on(2 * (kExtentCost + kSector) + kExtentCost);
  CHECK_FALSE(write(0, 1, 'a'));
  CHECK_FALSE(write(2, 1, 'b'));
  CHECK(write(4, 1, 'c') == std::errc::no_space_on_device);
  CHECK(letters(0, 6) == "a.b...");
  CHECK(on_disk(0, 6) == "......");
}

TEST_CASE_FIXTURE(TransientFixture,
                  "a transient disk goes back to its checkpoint, any number of times") {
  CHECK(cache->can_rewind());
  CHECK_FALSE(write(0, 2, 'a'));
  cache->checkpoint();
  const uint64_t size = cache->cached_bytes();
  for (int round = 0; round < 2; ++round) {
    CHECK_FALSE(write(1, 2, 'b'));
    CHECK_FALSE(cache->discard(0, kSector));
    CHECK(letters(0, 4) == "0bb.");
    cache->rewind();
    CHECK(letters(0, 4) == "aa..");
    CHECK(cache->cached_bytes() == size);
  }
}

TEST_CASE_FIXTURE(Fixture, "a disk that is written can't go back") {
  CHECK_FALSE(cache->can_rewind());
  CHECK_FALSE(disk.can_rewind());
  CHECK(MemoryBackend(kSector, true).can_rewind());
}

}  // namespace vmm::test
