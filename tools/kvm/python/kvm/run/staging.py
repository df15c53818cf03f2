# SPDX-License-Identifier: GPL-2.0-only
"""Put the user's own files where a lab host sees them as they are, and can write them.

A lab host reads this machine's files through a caching read-only mount, over which
its own writes go to memory. What a user names (a disk, a kernel being rebuilt at the
same path) is therefore linked into the run's folder, which both sides write uncached.
Another file system can't be linked to: such a file is copied, a writable disk back again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kvm.errors import UserError
from kvm.project import Project
from kvm.vm.spec import DiskSpec, MachineSpec, ShareSpec


class Staged:
    """A spec whose files a lab host can use, and the way back to the user's names."""

    def __init__(self, spec: MachineSpec, folder: Path, keep: tuple[Path, ...]) -> None:
        self._folder = folder
        self._keep = keep
        self._originals: dict[Path, Path] = {}
        self._copied: list[Path] = []
        self.spec = replace(
            spec,
            kernel=self._stage(spec.kernel, "kernel"),
            initrd=None if spec.initrd is None else self._stage(spec.initrd, "initrd"),
            disks=tuple(
                replace(
                    disk,
                    path=self._stage(disk.path, f"disk{number}", write=not disk.read_only),
                    backing_folder=disk.backing_folder or _backing_folder(disk),
                )
                for number, disk in enumerate(spec.disks)
            ),
        )

        for share in spec.shares:
            self._check_share(share)

    def in_user_s_words(self, text: str) -> str:
        """``text`` with the user's paths instead of the staged ones."""
        for staged, original in self._originals.items():
            text = text.replace(str(staged), str(original))
        return text

    def close(self) -> None:
        """Copy back what had to be copied, and leave no second name of a user's file behind."""
        for staged, original in self._originals.items():
            if staged in self._copied:
                with original.open("r+b") as target, staged.open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
            staged.unlink(missing_ok=True)

    def _check_share(self, share: ShareSpec) -> None:
        """A folder can't be linked; a lab host reads all folders, and writes only ours."""
        real = share.path.resolve()
        if not share.read_only and not any(real.is_relative_to(folder) for folder in self._keep):
            raise UserError(
                f"a lab host can't write to {share.path}",
                f"use {share.path},ro, or a folder in {self._keep[-1]}, or --host native",
            )

    def _stage(self, path: Path, name: str, *, write: bool = False) -> Path:
        real = path.resolve()
        if any(real.is_relative_to(folder) for folder in self._keep):
            return path
        if write and not os.access(real, os.W_OK):
            raise UserError(f"no permission to write {path}", f"use {path},ro or chmod it")
        staged = self._folder / f"{name}-{path.name}"
        try:
            os.link(real, staged)
        except OSError:
            shutil.copyfile(real, staged)
            if write:
                self._copied.append(staged)
        self._originals[staged] = path
        return staged


def _backing_folder(disk: DiskSpec) -> Path | None:
    """A staged image has left the folder that its backing file's name counts from."""
    return disk.path.parent if disk.format == "qcow2" else None


@contextlib.contextmanager
def staged(spec: MachineSpec, host: str, project: Project, run_dir: Path) -> Iterator[Staged]:
    """Stage for a lab host, undone at the end; for the native host nothing is moved."""
    everywhere = (Path("/"),)
    ours = (project.cache.resolve(), project.build.resolve())
    files = Staged(spec, run_dir, ours if host == "lab" else everywhere)
    try:
        yield files
    finally:
        files.close()
