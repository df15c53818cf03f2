// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/server.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "ninep/call.hpp"

namespace vmm::ninep {
namespace {

using Handler = Errno (*)(Call&);

Errno flush(Call&) { return kOk; }

Handler handler_of(uint8_t type) {
  switch (static_cast<Type>(type)) {
    case Type::kStatfs:
      return statfs;
    case Type::kLopen:
      return lopen;
    case Type::kLcreate:
      return lcreate;
    case Type::kSymlink:
      return symlink;
    case Type::kMknod:
      return mknod;
    case Type::kReadlink:
      return readlink;
    case Type::kGetattr:
      return getattr;
    case Type::kSetattr:
      return setattr;
    case Type::kReaddir:
      return readdir;
    case Type::kFsync:
      return fsync;
    case Type::kLock:
      return lock;
    case Type::kGetlock:
      return getlock;
    case Type::kLink:
      return link;
    case Type::kMkdir:
      return mkdir;
    case Type::kRenameat:
      return renameat;
    case Type::kUnlinkat:
      return unlinkat;
    case Type::kAttach:
      return attach;
    case Type::kFlush:
      return flush;
    case Type::kWalk:
      return walk;
    case Type::kRead:
      return read;
    case Type::kWrite:
      return write;
    case Type::kClunk:
      return clunk;
    case Type::kRemove:
      return remove;
    default:
      return nullptr;  // extended attributes too
  }
}

void put_header(Writer& out, uint8_t type, uint16_t tag) {
  out.put(uint32_t{0});  // filled in later
  out.put(type);
  out.put(tag);
}

Answer finish(Writer& out, uint32_t data_bytes) {
  out.set_u32(0, static_cast<uint32_t>(out.size()) + data_bytes);
  return {out.take(), data_bytes, std::nullopt};
}

Answer error_answer(uint16_t tag, Errno error) {
  Writer out;
  put_header(out, static_cast<uint8_t>(Type::kRlerror), tag);
  out.put(static_cast<uint32_t>(error.value));
  return finish(out, 0);
}

// The message size from now on, or 0 for an unsupported version.
uint32_t negotiate(Reader& in, Writer& out) {
  const auto wanted = in.take<uint32_t>();
  const std::string version = in.take_string();
  const uint32_t size = std::min(wanted, kMaxMessageBytes);
  const bool known = in.ok() && version.starts_with(kVersionName) && size >= kMinMessageBytes;
  out.put(size);
  out.put_string(known ? kVersionName : kVersionUnknown);
  return known ? size : 0;
}

}  // namespace

Answer failed_sync(const Sync& sync, Errno error) { return error_answer(sync.tag, error); }

void Server::reset() {
  fids_.clear();
  message_bytes_ = 0;
}

Answer Server::serve(const Request& request) {
  Reader in(request.message);
  const auto size = in.take<uint32_t>();
  const auto type = in.take<uint8_t>();
  const auto tag = in.take<uint16_t>();
  if (!in.ok()) return error_answer(kNoTag, {EPROTO});
  if (size != request.total_bytes) return error_answer(tag, {EPROTO});

  Writer out;
  put_header(out, static_cast<uint8_t>(type + 1), tag);
  if (type == static_cast<uint8_t>(Type::kVersion)) {
    reset();
    message_bytes_ = negotiate(in, out);
    return out.size() > request.answer_bytes ? error_answer(tag, {ENOBUFS}) : finish(out, 0);
  }
  if (message_bytes_ == 0) return error_answer(tag, {EPROTO});
  if (size > message_bytes_) return error_answer(tag, {EMSGSIZE});
  const Handler handler = handler_of(type);
  if (handler == nullptr) return error_answer(tag, {EOPNOTSUPP});

  const uint32_t limit = std::min(request.answer_bytes, message_bytes_);
  Call call{share_, fids_, qids_, in, out, limit - kHeaderBytes, request.data, request.answer_data};
  if (const Errno failed = handler(call)) return error_answer(tag, failed);
  if (out.size() + call.data_bytes > limit) return error_answer(tag, {ENOBUFS});
  Answer answer = finish(out, call.data_bytes);
  if (call.sync) {
    answer.sync = std::move(call.sync);
    answer.sync->tag = tag;
  }
  return answer;
}

}  // namespace vmm::ninep
