// SPDX-License-Identifier: GPL-2.0-only
#include "ninep/file_system.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

namespace vmm::ninep {
// An allowlist: new kernels add more file systems that expose the kernel, and a denylist that
// misses one would let the guest escape. A type missing here is refused, with its number. Plain
// numbers are types that <linux/magic.h> does not always name.
bool is_type_of_files(uint32_t type) {
  switch (type) {
    // File systems in memory, or on top of another.
    case TMPFS_MAGIC:  // devtmpfs too, whose devices are never opened
    case RAMFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case ECRYPTFS_SUPER_MAGIC:
    case 0x61756673:          // aufs
    case AUTOFS_SUPER_MAGIC:  // only folders, to mount others on
    // File systems on several devices, or on flash.
    case BTRFS_SUPER_MAGIC:
    case 0xca451a4e:  // bcachefs
    case 0x2fc12fc1:  // ZFS
    case JFFS2_SUPER_MAGIC:
    case 0x24051905:  // UBIFS
    case 0xe0f5e1e2:  // erofs
    // Network file systems.
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case 0xff534d42:  // CIFS
    case 0xfe534d42:  // SMB 2
    case 0x00c36400:  // Ceph
    case 0x5346414f:  // AFS
    case 0x6b414653:  // kAFS
    case CODA_SUPER_MAGIC:
    case 0x0bd00bd0:  // Lustre
    case 0x47504653:  // GPFS
    case 0x65735546:  // FUSE, virtiofs
    case 0x786f4256:  // vboxsf
    case V9FS_MAGIC:
    // File systems on a block device. A 9p mount, such as a lab host's share, reports the type of
    // its server's file system.
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case MSDOS_SUPER_MAGIC:
    case 0x2011bab0:  // exFAT
    case 0x5346544e:  // NTFS
    case 0x7366746e:  // NTFS 3
    case 0x482b:      // HFS+
    case 0x3153464a:  // JFS
    case REISERFS_SUPER_MAGIC:
    case NILFS_SUPER_MAGIC:
    case 0x7461636f:  // OCFS2
    case 0x01161970:  // GFS2
    case ISOFS_SUPER_MAGIC:
    case 0x15013346:  // UDF
    case SQUASHFS_MAGIC:
      return true;
    default:
      return false;
  }
}

Result<FileSystem> file_system_of(int fd) {
  struct stat place {};
  struct statfs info {};
  if (fstat(fd, &place) < 0 || fstatfs(fd, &info) < 0) return last_errno();
  // For a file system on a block device st_dev is that device; others have the major number 0.
  const auto type = static_cast<uint32_t>(info.f_type);
  return FileSystem{major(place.st_dev) != 0 || is_type_of_files(type), type};
}

}  // namespace vmm::ninep
