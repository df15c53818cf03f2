// SPDX-License-Identifier: GPL-2.0-only
//
// A 9P client without a kernel, and a folder to share: builds messages, passes them to a Server and
// parses the answers. Shared by the tests of this folder, on their thread. It checks nothing
// itself; the test does.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "ninep/server.hpp"
#include "temporary_folder.hpp"

namespace vmm::test {

// A temporary folder with a share in it and, next to that, files that must not be reachable.
class Folder {
 public:
  Folder() {
    std::filesystem::create_directory(share());
    put("../secret", "secret");
  }
  std::filesystem::path share() const { return top_ / "share"; }
  std::filesystem::path at(const std::string& name) const { return share() / name; }
  void put(const std::string& name, const std::string& content) const {
    std::ofstream(at(name), std::ios::binary) << content;
  }
  std::string get(const std::string& name) const {
    std::ifstream file(at(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool has(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(at(name)));
  }
  mode_t mode(const std::string& name) const {
    struct stat info {};
    REQUIRE(lstat(at(name).c_str(), &info) == 0);
    return info.st_mode;
  }

 private:
  TemporaryFolder top_;
};

// The answer: an error, or its body.
struct Reply {
  int error;
  uint8_t type;
  std::vector<std::byte> body;
  std::string data;

  template <class T>
  T at(size_t offset) const {
    T value{};
    REQUIRE(offset + sizeof value <= body.size());
    std::memcpy(&value, body.data() + offset, sizeof value);
    return value;
  }
};

class MockClient {
 public:
  static constexpr uint32_t kRoot = 0;
  static constexpr uint32_t kMessageBytes = 64 * 1024;

  explicit MockClient(const Folder& folder, bool read_only = false)
      : MockClient(folder.share().string(), read_only) {}
  MockClient(const std::string& path, bool read_only) : server(ninep::Share(path, read_only)) {}

  // Negotiates a version and attaches the root.
  void start() {
    REQUIRE(version().error == 0);
    REQUIRE(attach(kRoot).error == 0);
  }
  Reply version(uint32_t size = kMessageBytes, const std::string& name = ninep::kVersionName) {
    ninep::Writer body;
    body.put(size);
    body.put_string(name);
    return send(ninep::Type::kVersion, std::move(body));
  }
  Reply attach(uint32_t fid, const std::string& folder = "") {
    ninep::Writer body;
    body.put(fid);
    body.put(ninep::kNoFid);
    body.put_string("root");
    body.put_string(folder);
    body.put(uint32_t{0});
    return send(ninep::Type::kAttach, std::move(body));
  }
  Reply walk(uint32_t from, uint32_t to, const std::vector<std::string>& names) {
    ninep::Writer body;
    body.put(from);
    body.put(to);
    body.put(static_cast<uint16_t>(names.size()));
    for (const std::string& name : names) body.put_string(name);
    return send(ninep::Type::kWalk, std::move(body));
  }
  // Fields are integers or strings, in the order of the message.
  template <class... Fields>
  Reply call(ninep::Type type, Fields... fields) {
    ninep::Writer body;
    (put_field(body, fields), ...);
    return send(type, std::move(body));
  }
  // Sends a Tsetattr; `valid` selects the fields.
  Reply setattr(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size) {
    return call(ninep::Type::kSetattr, fid, valid, mode, ninep::kNoId, ninep::kNoId, size,
                uint64_t{0}, uint64_t{0}, uint64_t{0}, uint64_t{0});
  }
  Reply read(uint32_t fid, uint64_t offset, uint32_t count) {
    return call(ninep::Type::kRead, fid, offset, count);
  }
  Reply write(uint32_t fid, uint64_t offset, std::string data) {
    ninep::Writer body;
    body.put(fid);
    body.put(offset);
    body.put(static_cast<uint32_t>(data.size()));
    return send(ninep::Type::kWrite, std::move(body), std::move(data));
  }

  Reply send(ninep::Type type, ninep::Writer body, std::string data = "") {
    ninep::Writer message;
    const auto bytes = body.take();
    message.put(static_cast<uint32_t>(ninep::kHeaderBytes + bytes.size() + data.size()));
    message.put(static_cast<uint8_t>(type));
    message.put(uint16_t{7});
    std::vector<std::byte> all = message.take();
    all.insert(all.end(), bytes.begin(), bytes.end());
    return send_bytes(all, std::move(data));
  }
  Reply send_bytes(std::span<const std::byte> message, std::string data = "",
                   uint32_t answer_bytes = kMessageBytes) {
    std::string room(answer_bytes - ninep::kReadHeaderBytes, '\0');
    // Use odd pieces, as drivers may split buffers anywhere.
    const iovec from[2] = {{data.data(), data.size() / 3},
                           {data.data() + data.size() / 3, data.size() - data.size() / 3}};
    const iovec to[2] = {{room.data(), room.size() / 3},
                         {room.data() + room.size() / 3, room.size() - room.size() / 3}};
    const ninep::Answer answer = server.serve(
        {message, static_cast<uint32_t>(message.size() + data.size()), from, answer_bytes, to});
    ninep::Reader in(answer.message);
    CHECK(in.take<uint32_t>() == answer.message.size() + answer.data_bytes);
    Reply reply{};
    reply.type = in.take<uint8_t>();
    last_tag = in.take<uint16_t>();
    if (reply.type == static_cast<uint8_t>(ninep::Type::kRlerror)) {
      reply.error = static_cast<int>(in.take<uint32_t>());
    }
    reply.body.assign(answer.message.begin() + ninep::kHeaderBytes, answer.message.end());
    reply.data = room.substr(0, answer.data_bytes);
    return reply;
  }

  ninep::Server server;
  uint16_t last_tag = 0;

 private:
  template <std::unsigned_integral T>
  static void put_field(ninep::Writer& body, T value) {
    body.put(value);
  }
  static void put_field(ninep::Writer& body, const std::string& text) { body.put_string(text); }
};

}  // namespace vmm::test
