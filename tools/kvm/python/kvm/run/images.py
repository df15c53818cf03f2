# SPDX-License-Identifier: GPL-2.0-only
"""Claims the disk images of a lab host's machine on the side where the images are.

The VMM claims the files it opens by flock(2): exclusively or, where it only reads, shared
(``claim_image`` in ``backend/file_io.cpp``). QEMU's 9p passes no locks on, so a claim made in a
lab host is invisible outside. The command therefore makes the same claims here, on the image
and all its backing files. The kernel drops them with the command, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.spec.disk import FORMATS, DiskSpec

# As in backend/qcow2 (format.hpp, header.hpp, image.hpp): what the VMM itself would read.
_HEADER_BYTES = 64 * 1024
_VERSION_2_BYTES = 72
_MOST_NAME_BYTES = 1023
_MOST_BACKING_FILES = 16
_MAGIC = b"QFI\xfb"
_EXTENSION_END, _EXTENSION_FORMAT = 0, 0xE2792ACA


@dataclass(frozen=True, slots=True)
class Backing:
    """The backing file that a qcow2 header names."""

    name: str
    format: str


def claim(disk: DiskSpec, held: contextlib.ExitStack) -> tuple[Path, ...]:
    """Claim an image and its backing files until ``held`` is closed.

    Returns the backing files, the uppermost first. The chain ends at a broken image; the VMM will
    report it when it opens it.
    Raises ``UserError`` if another process holds a claim that excludes ours.
    """
    path, image_format, read_only = disk.path, disk.format, not disk.written
    folder = disk.backing_folder or path.parent
    seen: set[tuple[int, int]] = set()
    below: list[Path] = []
    for _ in range(1 + _MOST_BACKING_FILES):
        fd = _open(disk, path, read_only=read_only)
        if fd is None:
            break
        held.callback(os.close, fd)
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) in seen:
            break
        seen.add((found.st_dev, found.st_ino))
        if path != disk.path:
            below.append(path)
        _lock(fd, disk, path, read_only=read_only)
        backing = backing_of(os.pread(fd, _HEADER_BYTES, 0)) if image_format == "qcow2" else None
        if backing is None:
            break
        path, image_format, read_only = folder / backing.name, backing.format, True
        folder = path.parent
    return tuple(below)


def claim_all(disks: Sequence[DiskSpec], held: contextlib.ExitStack) -> list[Path]:
    """Claim all of these; return their images, each followed by its backing files."""
    return [path for disk in disks for path in (disk.path, *claim(disk, held))]


def backing_of(start: bytes) -> Backing | None:
    """The backing file named in the first 64 KiB of an image; None if there is no usable one."""
    if len(start) < _VERSION_2_BYTES or not start.startswith(_MAGIC):
        return None
    version, offset, length = struct.unpack_from(">IQI", start, 4)
    name = start[offset : offset + length]
    if not offset or not 0 < length <= _MOST_NAME_BYTES or len(name) < length or b"\0" in name:
        return None
    image_format = _backing_format(start, version)
    return Backing(os.fsdecode(name), image_format) if image_format in FORMATS else None


def _backing_format(start: bytes, version: int) -> str:
    """The format; empty if the header extensions do not name it or do not end."""
    at = _VERSION_2_BYTES
    if version >= 3:
        if len(start) < 104:
            return ""
        at = struct.unpack_from(">I", start, 100)[0]
    while at + 8 <= len(start):
        kind, length = struct.unpack_from(">II", start, at)
        at += 8
        if kind == _EXTENSION_END or length > len(start) - at:
            return ""
        if kind == _EXTENSION_FORMAT:
            return start[at : at + length].decode(errors="replace")
        at += (length + 7) & ~7
    return ""


def _open(disk: DiskSpec, path: Path, *, read_only: bool) -> int | None:
    """A descriptor; None if a backing file can't be opened, which the VMM will report."""
    flags = os.O_RDONLY if read_only else os.O_RDWR
    try:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except PermissionError as denied:
        if path != disk.path:
            return None
        hint = f"chmod it, or use {path},ro" if not read_only else "chmod it"
        raise UserError(f"no permission to {'read' if read_only else 'write'} {path}", hint) from (
            denied
        )
    except OSError as failed:
        if path != disk.path:
            return None
        raise UserError(f"disk {path}: {failed.strerror}", "check the path") from failed
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UserError(
            f"disk {path} is not a file, and a lab host can be given no devices",
            "use --host native, or an image",
        )
    return fd


def _lock(fd: int, disk: DiskSpec, path: Path, *, read_only: bool) -> None:
    """Lock it; on a file system without locks everything is allowed, as in the VMM."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        below = "" if path == disk.path else f", its backing file {path}"
        raise UserError(
            f"disk {disk.path}{below}: another machine uses it, or another disk of this one",
            "stop that machine, attach the image with ,ro or ,transient everywhere, or put a qcow2 "
            "overlay on it for each",
        ) from None
    except OSError:
        return
