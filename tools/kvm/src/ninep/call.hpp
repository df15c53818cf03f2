// SPDX-License-Identifier: GPL-2.0-only
//
// One request while it is served: what a handler reads its fields from, acts on, and writes its
// answer to. The server makes it; handlers (one per message type, grouped by what they are about)
// return an errno, and on kOk `out` holds the answer's body. File data never passes through here:
// it moves straight between the host's file and the guest's buffers.
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
  std::span<const iovec> to_file;    // of a Twrite, after its header
  std::span<const iovec> from_file;  // of a Rread, after its header
  uint32_t data_bytes = 0;           // how much of from_file was filled
  std::optional<Sync> sync{};        // what the caller does before it gives the answer

  // The fid that the next field names; null when the message ends before, or there is none.
  Fid* take_fid() { return fids.find(in.take<uint32_t>()); }
};

// session.cpp: from a name to a fid and back.
Errno attach(Call& call);
Errno walk(Call& call);
Errno clunk(Call& call);
Errno remove(Call& call);

// attributes.cpp: of one file.
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
