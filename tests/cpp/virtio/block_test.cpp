// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/block/block.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <memory>
#include <optional>

#include "eventually.hpp"
#include "memory_backend.hpp"
#include "mock_driver.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kSectors = 64;
constexpr uint64_t kHeader = MockDriver::kBuffers;
constexpr uint64_t kStatus = kHeader + 0x100;
constexpr uint64_t kData = kHeader + 0x1000;
constexpr int kNoStatus = 0xaa;

struct Fixture {
  explicit Fixture(bool read_only = false)
      : disk(new MemoryBackend(kSectors * 512, read_only)),
        block(std::unique_ptr<MemoryBackend>(disk)),
        driver(block) {
    REQUIRE(driver.start(driver.device_features(), 1));
    for (size_t i = 0; i < disk->bytes.size(); ++i) disk->bytes[i] = static_cast<char>(i / 512);
  }

  void put_header(uint32_t type, uint64_t sector) {
    driver.memory.write_object({kHeader}, virtio_blk_outhdr{type, 0, sector});
    driver.memory.write_object({kStatus}, uint8_t{kNoStatus});
  }

  // One request with its data in `data`; returns the status the device wrote.
  int request(uint32_t type, uint64_t sector, std::vector<Buffer> data) {
    put_header(type, sector);
    data.insert(data.begin(), readable(kHeader, 16));
    data.push_back(writable(kStatus, 1));
    return submit(std::move(data));
  }

  int submit(std::vector<Buffer> chain) {
    uint32_t writable_bytes = 0;
    for (const Buffer& buffer : chain) writable_bytes += buffer.writable ? buffer.length : 0;
    driver.add_and_notify(0, std::move(chain));
    // Requests that may take long are answered later.
    std::optional<vring_used_elem> used;
    REQUIRE(eventually([&] { return (used = driver.ring(0).take_used()).has_value(); }));
    CHECK(used->len == writable_bytes);
    return *driver.memory.read_object<uint8_t>({kStatus});
  }

  int discard_request(uint32_t type, std::vector<virtio_blk_discard_write_zeroes> segments) {
    const auto bytes = std::as_bytes(std::span(segments));
    driver.memory.write({kData}, bytes);
    return request(type, 0, {readable(kData, static_cast<uint32_t>(bytes.size()))});
  }

  MemoryBackend* disk;
  virtio::Block block;
  MockDriver driver;
};

struct ReadOnlyFixture : Fixture {
  ReadOnlyFixture() : Fixture(true) {}
};

// A driver that does not support FLUSH.
struct WriteThroughFixture : Fixture {
  WriteThroughFixture() {
    REQUIRE(driver.start(driver.device_features() & ~(1ULL << VIRTIO_BLK_F_FLUSH), 1));
  }
};

bool has_feature(Fixture& fixture, int bit) {
  return (fixture.driver.device_features() & 1ULL << bit) != 0;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "block describes the disk in its configuration") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_BLOCK);
  CHECK(driver.read_config<uint64_t>(offsetof(virtio_blk_config, capacity)) == kSectors);
  CHECK(driver.read_config<uint32_t>(offsetof(virtio_blk_config, blk_size)) == 512);
  const auto seg_max = driver.read_config<uint32_t>(offsetof(virtio_blk_config, seg_max));
  CHECK(seg_max + 2 == driver.ring(0).size());
  CHECK_FALSE(has_feature(*this, VIRTIO_BLK_F_RO));
  CHECK(has_feature(*this, VIRTIO_BLK_F_DISCARD));
}

TEST_CASE_FIXTURE(Fixture, "block reads sectors into split buffers") {
  CHECK(request(VIRTIO_BLK_T_IN, 3, {writable(kData, 100), writable(kData + 0x1000, 924)}) ==
        VIRTIO_BLK_S_OK);
  CHECK(driver.get(kData, 100) == std::string(100, 3));
  CHECK(driver.get(kData + 0x1000, 924) == std::string(412, 3) + std::string(512, 4));
}

TEST_CASE_FIXTURE(Fixture, "block writes sectors from split buffers") {
  driver.put(kData, std::string(1024, 'w'));
  CHECK(request(VIRTIO_BLK_T_OUT, 62, {readable(kData, 1), readable(kData + 1, 1023)}) ==
        VIRTIO_BLK_S_OK);
  CHECK(disk->bytes.substr(62 * 512) == std::string(1024, 'w'));
  CHECK(disk->bytes[61 * 512 + 511] == 61);
}

TEST_CASE_FIXTURE(Fixture, "block takes a header and a status wherever the buffers are split") {
  put_header(VIRTIO_BLK_T_OUT, 1);
  driver.put(kHeader + 16, std::string(512, 'x'));
  CHECK(submit({readable(kHeader, 7), readable(kHeader + 7, 521), writable(kStatus, 1)}) ==
        VIRTIO_BLK_S_OK);
  CHECK(disk->bytes.substr(512, 512) == std::string(512, 'x'));
  put_header(VIRTIO_BLK_T_IN, 5);
  // Data and status share one buffer, whose last byte is the status.
  CHECK(submit({readable(kHeader, 16), writable(kData, 512 - 0x80),
                writable(kStatus - 0x80, 0x81)}) == VIRTIO_BLK_S_OK);
  CHECK(driver.get(kStatus - 0x80, 0x80) == std::string(0x80, 5));
}

TEST_CASE_FIXTURE(Fixture, "block refuses ranges that are not on the disk") {
  const std::vector<Buffer> sector{writable(kData, 512)};
  CHECK(request(VIRTIO_BLK_T_IN, kSectors - 1, sector) == VIRTIO_BLK_S_OK);
  driver.put(kData, std::string(512, 's'));
  CHECK(request(VIRTIO_BLK_T_IN, kSectors, sector) == VIRTIO_BLK_S_IOERR);
  // With an error the guest never gets stale data.
  CHECK(driver.get(kData, 512) == std::string(512, '\0'));
  CHECK(request(VIRTIO_BLK_T_IN, ~0ULL, sector) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_IN, 1ULL << 55, sector) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_IN, kSectors - 1, {writable(kData, 1024)}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_OUT, ~0ULL, {readable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE_FIXTURE(Fixture, "block refuses lengths that are not whole sectors") {
  CHECK(request(VIRTIO_BLK_T_IN, 0, {writable(kData, 511)}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 513)}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk->bytes[0] == 0);
}

TEST_CASE_FIXTURE(Fixture, "block completes what is unknown as unsupported") {
  CHECK(request(0x7777, 0, {}) == VIRTIO_BLK_S_UNSUPP);
  CHECK(request(VIRTIO_BLK_T_SECURE_ERASE, 0, {readable(kData, 16)}) == VIRTIO_BLK_S_UNSUPP);
}

TEST_CASE_FIXTURE(Fixture, "block answers a request without a whole header with an I/O error") {
  put_header(VIRTIO_BLK_T_IN, 0);
  CHECK(submit({readable(kHeader, 15), writable(kStatus, 1)}) == VIRTIO_BLK_S_IOERR);
  put_header(VIRTIO_BLK_T_IN, 0);
  CHECK(submit({writable(kStatus, 1)}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE_FIXTURE(Fixture, "a request without a status byte is a fault") {
  put_header(VIRTIO_BLK_T_OUT, 0);
  driver.add_and_notify(0, {readable(kHeader, 16), readable(kData, 512)});
  CHECK_FALSE(driver.ring(0).take_used());
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0);
  CHECK(driver.transport.fault() == "queue 0: a request has no place for its answer");
  CHECK(disk->bytes[0] == 0);
}

TEST_CASE_FIXTURE(Fixture, "block flushes the backend") {
  CHECK(request(VIRTIO_BLK_T_FLUSH, 0, {}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 1);
}

TEST_CASE_FIXTURE(Fixture, "block leaves flushing to a driver that can ask for it") {
  CHECK(has_feature(*this, VIRTIO_BLK_F_FLUSH));
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_OK);
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{2, 1, 0}}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 0);
}

TEST_CASE_FIXTURE(WriteThroughFixture, "without FLUSH a change is stable once it is completed") {
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 1);
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{2, 1, 0}, {4, 1, 0}}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 2);
  CHECK(discard_request(VIRTIO_BLK_T_WRITE_ZEROES, {{2, 1, 0}}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 3);
  CHECK(request(VIRTIO_BLK_T_IN, 0, {writable(kData, 512)}) == VIRTIO_BLK_S_OK);
  CHECK(request(VIRTIO_BLK_T_OUT, kSectors, {readable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk->flushes == 3);
  disk->flush_error = std::make_error_code(std::errc::io_error);
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE_FIXTURE(WriteThroughFixture, "each driver's choice of FLUSH counts anew") {
  REQUIRE(driver.start(driver.device_features(), 1));
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_OK);
  CHECK(disk->flushes == 0);
}

TEST_CASE_FIXTURE(Fixture, "a failing backend is the guest's I/O error") {
  disk->error = std::make_error_code(std::errc::no_space_on_device);
  CHECK(request(VIRTIO_BLK_T_FLUSH, 0, {}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_IN, 9, {writable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
  CHECK(driver.get(kData, 512) == std::string(512, '\0'));
}

TEST_CASE_FIXTURE(Fixture, "block gives its serial number in 20 bytes") {
  CHECK(request(VIRTIO_BLK_T_GET_ID, 0, {writable(kData, 20)}) == VIRTIO_BLK_S_OK);
  CHECK(driver.get(kData, 20) == "a-name-longer-than-t");
  CHECK(request(VIRTIO_BLK_T_GET_ID, 0, {writable(kData, 19)}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE_FIXTURE(Fixture, "block discards and zeroes ranges") {
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{2, 1, 0}, {8, 2, 0}}) == VIRTIO_BLK_S_OK);
  CHECK(disk->bytes.substr(2 * 512, 512) == std::string(512, '\0'));
  CHECK(disk->bytes.substr(9 * 512, 512) == std::string(512, '\0'));
  CHECK(disk->bytes[3 * 512] == 3);
  CHECK(discard_request(VIRTIO_BLK_T_WRITE_ZEROES, {{63, 1, 1}}) == VIRTIO_BLK_S_OK);
  CHECK(disk->bytes[63 * 512] == 0);
}

TEST_CASE_FIXTURE(Fixture, "block checks every segment before it discards anything") {
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{1, 1, 0}, {63, 2, 0}}) == VIRTIO_BLK_S_IOERR);
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{1, 1, 0}, {~0ULL, 2, 0}}) == VIRTIO_BLK_S_IOERR);
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{1, 1, 0}, {2, 1, 1}}) == VIRTIO_BLK_S_UNSUPP);
  CHECK(discard_request(VIRTIO_BLK_T_WRITE_ZEROES, {{1, 1, 2}}) == VIRTIO_BLK_S_UNSUPP);
  CHECK(request(VIRTIO_BLK_T_DISCARD, 0, {readable(kData, 17)}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_DISCARD, 0, {}) == VIRTIO_BLK_S_IOERR);
  const std::vector<virtio_blk_discard_write_zeroes> many(33, {1, 1, 0});
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, many) == VIRTIO_BLK_S_IOERR);
  CHECK(disk->bytes[512] == 1);
}

TEST_CASE_FIXTURE(ReadOnlyFixture, "a read-only disk says so and refuses writes") {
  CHECK(has_feature(*this, VIRTIO_BLK_F_RO));
  CHECK_FALSE(has_feature(*this, VIRTIO_BLK_F_DISCARD));
  CHECK(request(VIRTIO_BLK_T_OUT, 0, {readable(kData, 512)}) == VIRTIO_BLK_S_IOERR);
  CHECK(discard_request(VIRTIO_BLK_T_DISCARD, {{1, 1, 0}}) == VIRTIO_BLK_S_IOERR);
  CHECK(discard_request(VIRTIO_BLK_T_WRITE_ZEROES, {{1, 1, 0}}) == VIRTIO_BLK_S_IOERR);
  CHECK(request(VIRTIO_BLK_T_IN, 1, {writable(kData, 512)}) == VIRTIO_BLK_S_OK);
  CHECK(disk->bytes[512] == 1);
}

TEST_CASE_FIXTURE(Fixture, "block serves every queued request of one notification in order") {
  for (uint64_t sector = 0; sector < 8; ++sector) {
    driver.memory.write_object({kHeader + sector * 16},
                               virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, sector});
    driver.ring(0).add({readable(kHeader + sector * 16, 16), writable(kData + sector * 512, 512),
                        writable(kStatus + sector, 1)});
  }
  driver.notify(0);
  for (uint64_t sector = 0; sector < 8; ++sector) {
    const auto used = driver.ring(0).take_used();
    REQUIRE(used);
    CHECK(used->id == sector * 3);
    CHECK(driver.get(kData + sector * 512, 1)[0] == static_cast<char>(sector));
  }
}

TEST_CASE("a disk that is only read goes on after a rewind where it was at the checkpoint") {
  Fixture fixture(true);
  auto& block = fixture.block;
  REQUIRE(block.can_rewind());
  CHECK(fixture.request(VIRTIO_BLK_T_IN, 3, {writable(kData, 512)}) == VIRTIO_BLK_S_OK);
  {
    const auto held = block.hold();
    block.checkpoint();
    // What the driver has asked for until then is served when the device is let go.
    fixture.put_header(VIRTIO_BLK_T_IN, 4);
    fixture.driver.ring(0).add({readable(kHeader, 16), writable(kData, 512), writable(kStatus, 1)});
    CHECK_FALSE(fixture.driver.ring(0).take_used());
  }
  CHECK(fixture.driver.ring(0).take_used().has_value());
  CHECK(*fixture.driver.memory.read_object<uint8_t>({kData}) == 4);
}

TEST_CASE("a disk that is written can't be rewound") { CHECK_FALSE(Fixture().block.can_rewind()); }

}  // namespace vmm::test
