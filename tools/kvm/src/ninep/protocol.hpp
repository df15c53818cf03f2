// SPDX-License-Identifier: GPL-2.0-only
//
// The constants of 9P2000.L, which no UAPI header has: message types, open flags, masks, limits.
// They match the kernel's client (include/net/9p/9p.h). Declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmm::ninep {

// Requests; the answer to each has the next number.
enum class Type : uint8_t {
  kRlerror = 7,
  kStatfs = 8,
  kLopen = 12,
  kLcreate = 14,
  kSymlink = 16,
  kMknod = 18,
  kReadlink = 22,
  kGetattr = 24,
  kSetattr = 26,
  kReaddir = 40,
  kFsync = 50,
  kLock = 52,
  kGetlock = 54,
  kLink = 70,
  kMkdir = 72,
  kRenameat = 74,
  kUnlinkat = 76,
  kVersion = 100,
  kAttach = 104,
  kFlush = 108,
  kWalk = 110,
  kRead = 116,
  kWrite = 118,
  kClunk = 120,
  kRemove = 122,
};

inline constexpr const char* kVersionName = "9P2000.L";
inline constexpr const char* kVersionUnknown = "unknown";

inline constexpr uint32_t kNoFid = 0xffffffff;
inline constexpr uint16_t kNoTag = 0xffff;
inline constexpr uint32_t kNoId = 0xffffffff;  // no user or group given

// size[4] type[1] tag[2]
inline constexpr uint32_t kHeaderBytes = 7;
inline constexpr uint32_t kErrorBytes = kHeaderBytes + 4;
inline constexpr uint32_t kReadHeaderBytes = kHeaderBytes + 4;        // Rread, before its data
inline constexpr uint32_t kWriteHeaderBytes = kHeaderBytes + 4 + 12;  // Twrite, before its data
inline constexpr uint32_t kQidBytes = 13;

// Limits of a message's size, header included.
inline constexpr uint32_t kMinMessageBytes = 4096;
inline constexpr uint32_t kMaxMessageBytes = 512 * 1024;
// The limit of a message without file data.
inline constexpr uint32_t kMaxControlBytes = 16 * 1024;
inline constexpr size_t kMaxWalkNames = 16;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxTargetBytes = 4095;  // target of a symbolic link

// Qid types.
inline constexpr uint8_t kQidDirectory = 0x80;
inline constexpr uint8_t kQidSymlink = 0x02;
inline constexpr uint8_t kQidFile = 0x00;

// The mask in Tgetattr and Rgetattr for all that stat(2) returns.
inline constexpr uint64_t kGetattrBasic = 0x7ff;

// The valid fields of a Tsetattr.
inline constexpr uint32_t kSetMode = 1 << 0;
inline constexpr uint32_t kSetUid = 1 << 1;
inline constexpr uint32_t kSetGid = 1 << 2;
inline constexpr uint32_t kSetSize = 1 << 3;
inline constexpr uint32_t kSetAtime = 1 << 4;
inline constexpr uint32_t kSetMtime = 1 << 5;
inline constexpr uint32_t kSetCtime = 1 << 6;
inline constexpr uint32_t kSetAtimeTo = 1 << 7;  // to the given time; without it, to now
inline constexpr uint32_t kSetMtimeTo = 1 << 8;
inline constexpr uint32_t kSetKnown = (1 << 9) - 1;

// Open flags; the guest's kernel handles all others itself.
inline constexpr uint32_t kOpenAccess = 03;
inline constexpr uint32_t kOpenWriteOnly = 01;
inline constexpr uint32_t kOpenReadWrite = 02;
inline constexpr uint32_t kOpenExclusive = 0200;
inline constexpr uint32_t kOpenTruncate = 01000;
inline constexpr uint32_t kOpenDataSync = 010000;
inline constexpr uint32_t kOpenDirectory = 0200000;
inline constexpr uint32_t kOpenSync = 04000000;

inline constexpr uint32_t kUnlinkDirectory = 0x200;

inline constexpr uint8_t kLockSuccess = 0;
inline constexpr uint8_t kLockUnlocked = 2;  // F_UNLCK

inline constexpr uint32_t kStatfsType = 0x01021997;  // V9FS_MAGIC

}  // namespace vmm::ninep
