# SPDX-License-Identifier: GPL-2.0-only
"""Folders beside disk images through which a lab host writes those images and nothing else.

A lab host writes one folder of this machine, the checkout's ``build``, and a disk image is
linked into it (``run/staging.py``). That is impossible for an image on another file system, so a
folder is made beside it and exported to the lab host, and the image is linked there. QEMU's
exports are fixed when it starts, so a kept lab host that lacks one is booted again, with those it
had before: commands with disks on the same few file systems share one.

The folders belong to their lab host. Their names are recorded before they are made, so that its
keeper, or the next command that finds it gone, removes them, whatever was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from kvm.errors import UserError
from kvm.host import keeper

MOST = 3  # microvm has eight virtio-mmio transports, and five are taken


def linkable(file: Path, folder: Path) -> bool:
    """Whether ``file`` can be linked into ``folder``: link(2) requires the same mount."""
    return _place(file, file.parent) == _place(folder, folder)


def choose(images: Sequence[Path], share: Path, have: Sequence[Path]) -> tuple[Path, ...]:
    """The exports for ``images``: ``have`` if that is enough, else with new ones, not made yet.

    Images that can be linked into ``share`` need none. What is missing or no regular file is left
    to whoever opens it. Raises ``UserError`` for an image that can't be linked anywhere.
    """
    used: list[Path] = []
    new: list[Path] = []
    for image in filter(os.path.isfile, images):
        if linkable(image, share) or any(linkable(image, home.parent) for home in new):
            continue
        if home := next((home for home in have if linkable(image, home)), None):
            used.append(home)
        elif linkable(image, image.parent):
            new.append(image.parent / f"{keeper.EXPORT_PREFIX}{secrets.token_hex(6)}")
        else:
            raise UserError(
                f"{image} is mounted by itself, so a lab host can't write it",
                f"move it to an ordinary folder, use {image},ro, or --host native",
            )
    if not new:
        return tuple(have)
    wanted = dict.fromkeys((*used, *new))
    if len(wanted) > MOST:
        raise UserError(
            f"disks on {len(wanted)} file systems beside that of {share}",
            f"a lab host writes to {MOST} at most: move some together",
        )
    return tuple(dict.fromkeys((*wanted, *have)))[:MOST]


def make(record_folder: Path, exports: Sequence[Path]) -> None:
    """Record them in the lab host's folder, then make them."""
    (record_folder / keeper.EXPORTS).write_text(json.dumps([str(export) for export in exports]))
    for export in exports:
        try:
            export.mkdir(mode=0o700)
        except OSError as failed:
            raise UserError(
                f"a lab host can't be given a folder beside the disk in {export.parent}: "
                f"{failed.strerror}",
                "make that folder writable, move the disk, use DISK,ro, or --host native",
            ) from failed


def recorded(record_folder: Path) -> tuple[Path, ...]:
    """The recorded exports of one lab host that exist."""
    names = keeper.recorded_exports(str(record_folder))
    return tuple(export for export in map(Path, names) if export.is_dir())


def tidy(exports: Sequence[Path]) -> None:
    """Remove links that killed commands left: only one command at a time uses their lab host."""
    for export in exports:
        with contextlib.suppress(OSError):
            for link in export.iterdir():
                link.unlink()


def remove(record_folder: Path) -> None:
    """Remove the exports of one lab host, and what a killed command left in them."""
    keeper.remove_folders(keeper.recorded_exports(str(record_folder)))


def _place(path: Path, folder: Path) -> tuple[str, int]:
    """The mount through which ``path`` is reached, and its folder's file system (or subvolume)."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line.split()[1], folder.stat().st_dev
    finally:
        os.close(fd)
    raise UserError("/proc/self/fdinfo tells no mounts", "use a kernel of 2015 or later")
