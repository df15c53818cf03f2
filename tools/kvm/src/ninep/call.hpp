// SPDX-License-Identifier: GPL-2.0-only
//
// One request while it is served: the message whose fields a handler reads, the objects it acts on,
// and the buffer for its answer. The server makes it; handlers (one per message type, grouped by
// subject) return an errno, and on kOk `out` holds the answer's body. File data never passes
// through here: it moves straight between the host's file and the guest's buffers.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>

#include "ninep/errno.hpp"
#include "ninep/fid_table.hpp"
#include "ninep/qid.hpp"
#include "ninep/share.hpp"
#include "ninep/sync.hpp"
#include "ninep/wire.hpp"

namespace vmm::ninep {

struct Call {
  const Share& share;
  FidTable& fids;
  QidMaker& qids;
  Reader in;
  Writer& out;
  uint32_t room;                     // for the answer's body
  std::span<const iovec> to_file;    // Twrite: its data, after the header
  std::span<const iovec> from_file;  // Rread: room for data, after the header
  uint32_t data_bytes = 0;           // bytes of from_file that were filled
  std::optional<Sync> sync{};        // for the caller to do before it gives the answer

  // Reads a field that names a fid. Null when the message is too short, or there is no such fid.
  Fid* take_fid() { return fids.find(in.take<uint32_t>()); }
};

// session.cpp: fids, from attach to clunk.
Errno attach(Call& call);
Errno walk(Call& call);
Errno clunk(Call& call);
Errno remove(Call& call);

// attributes.cpp: attributes of one file.
Errno getattr(Call& call);
Errno setattr(Call& call);
Errno statfs(Call& call);
Errno readlink(Call& call);

// files.cpp: open files and their data.
Errno lopen(Call& call);
Errno lcreate(Call& call);
Errno read(Call& call);
Errno write(Call& call);
Errno fsync(Call& call);
Errno lock(Call& call);
Errno getlock(Call& call);

// tree.cpp: names in folders.
Errno readdir(Call& call);
Errno mkdir(Call& call);
Errno symlink(Call& call);
Errno mknod(Call& call);
Errno link(Call& call);
Errno renameat(Call& call);
Errno unlinkat(Call& call);

}  // namespace vmm::ninep
