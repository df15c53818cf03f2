// SPDX-License-Identifier: GPL-2.0-only
//
// A hostile client: random messages of every type over a small set of fids and names, from fixed
// seeds, so that a failure repeats. Nothing may crash, every message must be answered, and files
// outside of the share must not change.
#include <doctest/doctest.h>

#include <random>

#include "mock_client.hpp"

namespace vmm::test {
namespace {

using ninep::Type;

class HostileClient {
 public:
  HostileClient(const Folder& folder, uint32_t seed) : client_(folder), random_(seed) {
    client_.start();
  }

  void step() {
    ninep::Writer body;
    const auto type = static_cast<Type>(pick<uint8_t>({8,   12,
                                                       14,  16,
                                                       18,  22,
                                                       24,  26,
                                                       40,  50,
                                                       52,  54,
                                                       70,  72,
                                                       74,  76,
                                                       104, 108,
                                                       110, 110,
                                                       110, 116,
                                                       118, 120,
                                                       122, static_cast<uint8_t>(below(256))}));
    fill(body, type);
    std::string data(type == Type::kWrite ? below(5000) : 0, 'h');
    const Reply reply = client_.send(type, std::move(body), std::move(data));
    ++(reply.error == 0 ? served_ : refused_);
    if (below(2000) == 0) client_.start();
  }
  int served() const { return served_; }
  int refused() const { return refused_; }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }
  uint32_t fid() { return static_cast<uint32_t>(below(12)); }
  std::string name() {
    return pick<std::string>({"a", "b", "c", "dir", "link", "..", ".", "", "../secret", "a/b",
                              std::string(300, 'n'), std::string("z\0z", 3)});
  }

  // Mostly valid fields with odd values, as invalid messages end at the first check.
  void fill(ninep::Writer& body, Type type) {
    if (below(20) == 0) {
      for (uint64_t i = below(64); i > 0; --i) body.put(static_cast<uint8_t>(below(256)));
      return;
    }
    body.put(fid());
    switch (type) {
      case Type::kWalk: {
        body.put(fid());
        const auto count = static_cast<uint16_t>(below(4));
        body.put(count);
        for (uint16_t i = 0; i < count; ++i) body.put_string(name());
        return;
      }
      case Type::kAttach:
        body.put(ninep::kNoFid);
        body.put_string("");
        body.put_string("");
        body.put(uint32_t{0});
        return;
      case Type::kRead:
      case Type::kReaddir:
      case Type::kWrite:
        body.put(pick<uint64_t>({0, 1, 4096, below(100'000), ~0ULL, 1ULL << 63}));
        body.put(pick<uint32_t>({0, 1, 100, 4096, 60'000, ~0U}));
        return;
      case Type::kSymlink:
        body.put_string(name());
        body.put_string(pick<std::string>({"../secret", "/", "dir"}));
        body.put(ninep::kNoId);
        return;
      case Type::kLink:
        body.put(fid());
        body.put_string(name());
        return;
      case Type::kRenameat:
        body.put_string(name());
        body.put(fid());
        body.put_string(name());
        return;
      case Type::kSetattr:
        body.put(static_cast<uint32_t>(below(512)));
        body.put(static_cast<uint32_t>(0700 | below(010000)));
        body.put(ninep::kNoId);
        body.put(ninep::kNoId);
        body.put(below(10'000));
        for (int i = 0; i < 4; ++i) body.put(pick<uint64_t>({0, 5, 1'000'000'000, ~0ULL}));
        return;
      default:
        if (below(2) == 0 || type == Type::kMkdir || type == Type::kLcreate)
          body.put_string(name());
        for (int i = 0; i < 4; ++i) body.put(pick<uint32_t>({0, 1, 2, 0700, 01002, ~0U}));
    }
  }

  MockClient client_;
  std::mt19937_64 random_;
  int served_ = 0;
  int refused_ = 0;
};

}  // namespace

TEST_CASE("a hostile client gets an answer to everything and nothing from outside") {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    const Folder folder;
    std::filesystem::create_directory(folder.at("dir"));
    HostileClient client(folder, seed);
    for (int step = 0; step < 15'000; ++step) client.step();
    CHECK(client.served() > 1'000);
    CHECK(client.refused() > 1'000);
    CHECK(folder.get("../secret") == "secret");
    const auto beside = std::filesystem::directory_iterator(folder.at(".."));
    CHECK(std::distance(begin(beside), end(beside)) == 2);
  }
}

}  // namespace vmm::test
