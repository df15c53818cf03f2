// SPDX-License-Identifier: GPL-2.0-only
#include "backend/io_ring.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <chrono>
#include <utility>

#include "backend/file_io.hpp"

namespace vmm::backend {
namespace {

constexpr unsigned kEntries = 128;
// The last completion may be in progress on another thread, or not there yet: check again after
// this.
constexpr std::chrono::milliseconds kDrainStep{1};

uint64_t total(std::span<const iovec> buffers) {
  uint64_t bytes = 0;
  for (const iovec& buffer : buffers) bytes += buffer.iov_len;
  return bytes;
}

}  // namespace

struct IoRing::Request {
  Kind kind;
  int fd;
  uint64_t offset_bytes;
  std::span<const iovec> buffers;
  Done done;

  // A request that the kernel did in part is repeated as a whole: this is rare, and mostly ends in
  // an error.
  std::error_code result(int returned) const {
    if (returned < 0) return {-returned, std::generic_category()};
    if (kind == Kind::kSync || static_cast<uint64_t>(returned) == total(buffers)) return {};
    return kind == Kind::kRead ? read_all(fd, offset_bytes, buffers)
                               : write_all(fd, offset_bytes, buffers);
  }
};

std::unique_ptr<IoRing> IoRing::create(base::EventLoop& loop) {
  io_uring ring;
  if (io_uring_queue_init(kEntries, &ring, 0) < 0) return nullptr;
  base::UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event || io_uring_register_eventfd(&ring, event.get()) < 0) {
    io_uring_queue_exit(&ring);
    return nullptr;
  }
  return std::unique_ptr<IoRing>(new IoRing(loop, ring, std::move(event)));
}

IoRing::IoRing(base::EventLoop& loop, io_uring ring, base::UniqueFd event)
    : loop_(loop), event_(std::move(event)), ring_(ring) {
  loop_.add(event_.get(), EPOLLIN, [this](uint32_t) {
    eventfd_t count;
    static_cast<void>(eventfd_read(event_.get(), &count));
    for (unsigned i = 0; i < kEntries; ++i) {
      if (!reap()) return;
    }
    // Callbacks may begin more requests, which may end as fast: let the loop serve others first.
    static_cast<void>(eventfd_write(event_.get(), 1));
  });
}

IoRing::~IoRing() {
  loop_.remove(event_.get());
  drain();
  io_uring_queue_exit(&ring_);
}

bool IoRing::read(int fd, uint64_t offset_bytes, std::span<const iovec> into, Done& done) {
  return begin(Kind::kRead, fd, offset_bytes, into, done);
}

bool IoRing::write(int fd, uint64_t offset_bytes, std::span<const iovec> from, Done& done) {
  return begin(Kind::kWrite, fd, offset_bytes, from, done);
}

bool IoRing::sync_data(int fd, Done& done) { return begin(Kind::kSync, fd, 0, {}, done); }

bool IoRing::begin(Kind kind, int fd, uint64_t offset_bytes, std::span<const iovec> buffers,
                   Done& done) {
  const std::lock_guard lock(mutex_);
  // The limit is the completion queue's size, so that the kernel never has to hold completions
  // back.
  if (in_flight_ >= kEntries) return false;
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) return false;
  const auto count = static_cast<unsigned>(buffers.size());
  if (kind == Kind::kRead) {
    io_uring_prep_readv(entry, fd, buffers.data(), count, offset_bytes);
  } else if (kind == Kind::kWrite) {
    io_uring_prep_writev(entry, fd, buffers.data(), count, offset_bytes);
  } else {
    io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
  }
  auto request = std::make_unique<Request>(kind, fd, offset_bytes, buffers, Done{});
  io_uring_sqe_set_data(entry, request.get());
  if (io_uring_submit(&ring_) < 1) {
    io_uring_prep_nop(entry);  // it stays in the ring until the next submit
    io_uring_sqe_set_data(entry, nullptr);
    return false;
  }
  request.release()->done = std::exchange(done, {});
  ++in_flight_;
  return true;
}

// Completes one request. False if none has ended.
bool IoRing::reap() {
  io_uring_cqe* entry = nullptr;
  std::unique_ptr<Request> request;
  int returned;
  {
    const std::lock_guard lock(mutex_);
    if (io_uring_peek_cqe(&ring_, &entry) < 0) return false;
    request.reset(static_cast<Request*>(io_uring_cqe_get_data(entry)));
    returned = entry->res;
    io_uring_cqe_seen(&ring_, entry);
  }
  if (request == nullptr) return true;
  request->done(request->result(returned));
  const std::lock_guard lock(mutex_);
  if (--in_flight_ == 0) idle_.notify_all();
  return true;
}

void IoRing::drain() {
  while (in_flight_ > 0) {
    if (reap()) continue;
    std::unique_lock lock(mutex_);
    idle_.wait_for(lock, kDrainStep, [this] { return in_flight_ == 0; });
  }
}

}  // namespace vmm::backend
