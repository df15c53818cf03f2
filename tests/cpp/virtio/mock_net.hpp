// SPDX-License-Identifier: GPL-2.0-only
//
// A network for the tests of the net device: records the frames that the guest sends, and delivers
// those that the test adds. It runs no thread; a test calls ready() like a backend's thread.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backend/net_backend.hpp"

namespace vmm::test {

struct MockNetLog {
  struct SentFrame {
    uint16_t pair;
    backend::NetHeader header;
    std::string bytes;
  };
  std::vector<SentFrame> sent;
  std::vector<std::deque<std::string>> waiting;  // by pair, without headers
  backend::NetHeader next_header{};              // in front of waiting frames
  backend::NetOffloads offloads;
  uint16_t queue_pairs = 0;
  bool full = false;
  bool started = false;
  backend::NetBackend::Ready ready;
  std::function<void()> on_consume;  // called for each waiting frame that is consumed
};

class MockNet final : public backend::NetBackend {
 public:
  MockNet(MockNetLog& log, backend::NetTraits traits) : log_(log), traits_(std::move(traits)) {
    log_.waiting.resize(traits_.max_queue_pairs);
  }

  backend::NetTraits traits() const override { return traits_; }
  void start(Ready ready) override {
    log_.started = true;
    log_.ready = std::move(ready);
  }
  void stop() override { log_.started = false; }
  void set_offloads(const backend::NetOffloads& allowed) override { log_.offloads = allowed; }
  void set_queue_pairs(uint16_t count) override { log_.queue_pairs = count; }

  backend::Sent send(uint16_t pair, const backend::NetHeader& header,
                     std::span<const iovec> frame) override {
    if (log_.full) return backend::Sent::kFull;
    std::string bytes;
    for (const iovec& piece : frame) {
      bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    log_.sent.push_back({pair, header, bytes});
    return backend::Sent::kTaken;
  }

  std::span<const std::byte> peek(uint16_t pair) override {
    if (log_.waiting[pair].empty()) return {};
    const std::string& frame = log_.waiting[pair].front();
    current_.resize(sizeof(backend::NetHeader) + frame.size());
    std::memcpy(current_.data(), &log_.next_header, sizeof log_.next_header);
    std::memcpy(current_.data() + sizeof log_.next_header, frame.data(), frame.size());
    return current_;
  }
  void consume(uint16_t pair) override {
    log_.waiting[pair].pop_front();
    if (log_.on_consume) log_.on_consume();
  }

 private:
  MockNetLog& log_;
  backend::NetTraits traits_;
  std::vector<std::byte> current_;
};

}  // namespace vmm::test
