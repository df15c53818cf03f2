// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/device/ninep.hpp"

#include <doctest/doctest.h>
#include <linux/virtio_9p.h>
#include <linux/virtio_ids.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>

#include "eventually.hpp"
#include "mock_driver.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {
namespace {

constexpr uint64_t kRequest = MockDriver::kBuffers;
constexpr uint64_t kAnswer = kRequest + 0x10000;

constexpr int answer_to(ninep::Type type) { return static_cast<int>(type) + 1; }

// A disk whose syncs end when the test allows it, with a chosen result.
class Disk {
 public:
  ninep::Errno sync(const ninep::Sync& sync) {
    std::unique_lock lock(mutex_);
    data_only = sync.data_only;
    ++begun_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(10), [this] { return allowed_ >= begun_; });
    return ninep::Errno{error};
  }
  bool has_begun(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return begun_ >= count; });
  }
  void allow(int count) {
    const std::lock_guard lock(mutex_);
    allowed_ = count;
    changed_.notify_all();
  }

  std::atomic<bool> data_only = false;
  std::atomic<int> error = 0;  // their result

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  int allowed_ = 0;
};

struct Fixture {
  TemporaryFolder folder;
  Disk disk;
  virtio::Ninep device{ninep::Share(folder.path(), false), "work",
                       [this](const ninep::Sync& sync) { return disk.sync(sync); }};
  MockDriver driver{device};

  Fixture() {
    std::ofstream(folder / "file") << "content of the file";
    REQUIRE(driver.start(driver.device_features(), 1));
    REQUIRE(send(version(8192)) == answer_to(ninep::Type::kVersion));
  }

  static std::string u16(unsigned value) {
    return {static_cast<char>(value), static_cast<char>(value >> 8)};
  }
  static std::string u32(uint32_t value) { return u16(value & 0xffff) + u16(value >> 16); }
  static std::string text(const std::string& value) {
    return u16(static_cast<unsigned>(value.size())) + value;
  }
  static std::string message(ninep::Type type, const std::string& body) {
    const auto size = static_cast<uint32_t>(ninep::kHeaderBytes + body.size());
    return u32(size) + static_cast<char>(type) + u16(1) + body;
  }
  static std::string version(uint32_t size) {
    return message(ninep::Type::kVersion, u32(size) + text(ninep::kVersionName));
  }
  static std::string attach() {
    return message(ninep::Type::kAttach,
                   u32(0) + u32(ninep::kNoFid) + text("") + text("") + u32(0));
  }
  static std::string walk(const std::string& name) {
    return message(ninep::Type::kWalk, u32(0) + u32(1) + u16(1) + text(name));
  }

  static std::string sync(bool data_only) {
    return message(ninep::Type::kFsync, u32(1) + u32(data_only ? 1 : 0));
  }
  // Opens "file" as fid 1.
  void open_file() {
    REQUIRE(send(attach()) == answer_to(ninep::Type::kAttach));
    REQUIRE(send(walk("file")) == answer_to(ninep::Type::kWalk));
    REQUIRE(send(message(ninep::Type::kLopen, u32(1) + u32(2))) == answer_to(ninep::Type::kLopen));
  }
  // Does not wait for the answer; each `slot` has its own addresses.
  void begin(const std::string& request, uint64_t slot) {
    const uint64_t at = (slot + 1) * 0x1000;
    driver.put(kRequest + at, request);
    driver.memory.write_object({kAnswer + at}, kNoAnswer);
    driver.add_and_notify(0, {readable(kRequest + at, static_cast<uint32_t>(request.size())),
                              writable(kAnswer + at, 64)});
  }
  int answer(uint64_t slot) {
    return *driver.memory.read_object<uint8_t>({kAnswer + (slot + 1) * 0x1000 + 4});
  }
  bool wait_for_used() {
    return eventually([&] { return driver.ring(0).take_used().has_value(); });
  }
  static constexpr uint64_t kNoAnswer = 0;

  // Returns the type of the answer, whose bytes are at kAnswer.
  int send(const std::string& request, uint32_t room = 8192) {
    driver.put(kRequest, request);
    const auto length = static_cast<uint32_t>(request.size());
    const uint32_t first = length / 2;
    driver.add_and_notify(0, {readable(kRequest, first), readable(kRequest + first, length - first),
                              writable(kAnswer, 5), writable(kAnswer + 5, room - 5)});
    const auto used = driver.ring(0).take_used();
    REQUIRE(used);
    CHECK(*driver.memory.read_object<uint32_t>({kAnswer}) == used->len);
    return *driver.memory.read_object<uint8_t>({kAnswer + 4});
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "9p tells its tag") {
  CHECK(driver.read32(VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_9P);
  CHECK((driver.device_features() & 1ULL << VIRTIO_9P_MOUNT_TAG) != 0);
  CHECK(driver.read_config<uint16_t>(0) == 4);
  CHECK(driver.read_config<uint32_t>(2) == 0x6b726f77);  // "work"
}

TEST_CASE_FIXTURE(Fixture, "9p reads and writes a file in place") {
  using ninep::Type;
  CHECK(send(attach()) == answer_to(Type::kAttach));
  CHECK(send(walk("file")) == answer_to(Type::kWalk));
  CHECK(send(message(Type::kLopen, u32(1) + u32(2))) == answer_to(Type::kLopen));
  CHECK(send(message(Type::kRead, u32(1) + u32(11) + u32(0) + u32(100))) == answer_to(Type::kRead));
  CHECK(driver.get(kAnswer + ninep::kReadHeaderBytes, 8) == "the file");
  CHECK(send(message(Type::kWrite, u32(1) + u32(0) + u32(0) + u32(7) + "CONTENT")) ==
        answer_to(Type::kWrite));
  std::string content(19, '\0');
  std::ifstream(folder / "file").read(content.data(), 19);
  CHECK(content == "CONTENT of the file");
  // Claims more data than was sent.
  CHECK(send(message(Type::kWrite, u32(1) + u32(0) + u32(0) + u32(9999) + "x")) ==
        static_cast<int>(Type::kRlerror));
}

TEST_CASE_FIXTURE(Fixture, "9p answers what is malformed with an error") {
  CHECK(send("xy") == static_cast<int>(ninep::Type::kRlerror));
  CHECK(send(std::string(20, '\xff')) == static_cast<int>(ninep::Type::kRlerror));
  CHECK(send(message(ninep::Type::kWalk, std::string(60'000, 'w'))) ==
        static_cast<int>(ninep::Type::kRlerror));
  CHECK(send(attach(), ninep::kErrorBytes) == static_cast<int>(ninep::Type::kRlerror));
  CHECK(send(walk("file")) == answer_to(ninep::Type::kWalk));  // the attach itself was done
}

TEST_CASE_FIXTURE(Fixture, "a request without room for an answer is a fault") {
  driver.put(kRequest, attach());
  driver.add_and_notify(0, {readable(kRequest, 26), writable(kAnswer, ninep::kErrorBytes - 1)});
  CHECK_FALSE(driver.ring(0).take_used());
  CHECK((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0);
}

TEST_CASE_FIXTURE(Fixture, "a sync of a file keeps no vCPU, and those behind it wait for it") {
  open_file();
  begin(sync(true), 0);
  REQUIRE(disk.has_begun(1));
  CHECK(disk.data_only);
  begin(walk("file"), 1);
  CHECK_FALSE(driver.ring(0).take_used());
  disk.allow(1);
  CHECK(wait_for_used());
  CHECK(wait_for_used());
  CHECK(answer(0) == answer_to(ninep::Type::kFsync));
  CHECK(answer(1) == static_cast<int>(ninep::Type::kRlerror));  // fid 1 is in use
}

TEST_CASE_FIXTURE(Fixture, "a sync that fails is an error, and the next one is tried") {
  open_file();
  disk.allow(2);
  disk.error = EIO;
  begin(sync(false), 0);
  CHECK(wait_for_used());
  CHECK(answer(0) == static_cast<int>(ninep::Type::kRlerror));
  CHECK(*driver.memory.read_object<uint32_t>({kAnswer + 0x1000 + ninep::kHeaderBytes}) == EIO);
  disk.error = 0;
  begin(sync(false), 0);
  CHECK(wait_for_used());
  CHECK(answer(0) == answer_to(ninep::Type::kFsync));
}

TEST_CASE_FIXTURE(Fixture, "a reset does not wait for a sync, which then is answered to nobody") {
  open_file();
  begin(sync(false), 0);
  REQUIRE(disk.has_begun(1));
  REQUIRE(driver.start(driver.device_features(), 1));
  REQUIRE(send(version(8192)) == answer_to(ninep::Type::kVersion));
  open_file();
  begin(sync(false), 1);
  disk.allow(1);
  REQUIRE(disk.has_begun(2));
  CHECK_FALSE(driver.ring(0).take_used());
  disk.allow(2);
  CHECK(wait_for_used());
  CHECK(answer(0) == 0);
  CHECK(answer(1) == answer_to(ninep::Type::kFsync));
}

TEST_CASE_FIXTURE(Fixture, "a reset ends the session") {
  CHECK(send(attach()) == answer_to(ninep::Type::kAttach));
  REQUIRE(driver.start(driver.device_features(), 1));
  CHECK(send(walk("file")) == static_cast<int>(ninep::Type::kRlerror));
}

}  // namespace vmm::test
