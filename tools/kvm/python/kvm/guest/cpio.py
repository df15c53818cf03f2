# SPDX-License-Identifier: GPL-2.0-only
"""Writes the kernel's initramfs format ("newc" cpio), deterministic to the byte.

The format is in Documentation/driver-api/early-userspace/buffer-format.rst. Times are zero, owners
are root, inodes count up, so equal entries make equal archives. Pure.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"
_SIZE_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """One member: ``path`` has no leading slash, ``mode`` includes the file type.

    ``data`` is a file's content or a symlink's target; ``device`` a node's major, minor.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(path: str, permissions: int = 0o755) -> Entry:
    return Entry(path, stat.S_IFDIR | permissions)


def file(path: str, data: bytes, permissions: int = 0o644) -> Entry:
    return Entry(path, stat.S_IFREG | permissions, data)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, permissions: int = 0o600) -> Entry:
    return Entry(path, stat.S_IFCHR | permissions, device=(major, minor))


def archive(entries: Sequence[Entry]) -> bytes:
    """The archive of ``entries`` in their order; a folder must precede its content."""
    parts: list[bytes] = []
    for number, entry in enumerate(entries, start=1):
        parts += _member(entry, number)
    parts += _member(Entry(_TRAILER, 0), 0)
    return b"".join(parts)


def _member(entry: Entry, inode: int) -> list[bytes]:
    name = entry.path.encode() + b"\0"
    size = len(entry.data)
    if size > _SIZE_MAX:
        raise ValueError(f"{entry.path} is too big for an initramfs: {size} bytes")
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        inode,
        entry.mode,
        0,  # uid
        0,  # gid
        links,
        0,  # mtime
        size,
        0,  # device of the file system, major
        0,  # and minor
        *entry.device,
        len(name),
        0,  # checksum, unused in this variant
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return [header, _padding(len(header)), entry.data, _padding(size)]


def _padding(length: int) -> bytes:
    return bytes(-length % 4)
