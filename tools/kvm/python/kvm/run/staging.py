# SPDX-License-Identifier: GPL-2.0-only
"""Puts the user's own files where a lab host sees their current state and can write them.

Nothing is copied: what a guest has synced is in the user's own file, whatever is killed then.
A lab host sees this machine's files twice: through a cache that does not notice changes, and
without one. The second serves whatever a user names (a kernel being rebuilt at the same path, a
folder, a script). A disk that is written is linked into the run's folder, which both sides write,
or into a folder on the disk's own file system that the host was booted with (``host/exports.py``).
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kvm.errors import UserError
from kvm.host.base import Host
from kvm.project import Project
from kvm.run import images, ports
from kvm.spec.disk import DiskSpec
from kvm.spec.machine import MachineSpec
from kvm.spec.network import Forward, NetKind, NetSpec
from kvm.spec.share import ShareSpec

_NAME_BYTES = 255  # NAME_MAX
_MOUNTINFO = Path("/proc/self/mountinfo")
# A lab host has its own of these folders, which hide ours.
_HIDDEN = tuple(map(Path, ("/proc", "/sys")))


class Staged:
    """A spec whose files the host can use, with a map back to the user's paths."""

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self._originals: dict[Path, Path] = {}

    def add(self, seen: Path, original: Path) -> Path:
        """Note that the host has ``original`` at ``seen``."""
        if seen != original:
            self._originals[seen] = original
        return seen

    def with_user_paths(self, text: str) -> str:
        """``text`` with the user's paths instead of the host's."""
        for seen in sorted(self._originals, key=lambda path: len(str(path)), reverse=True):
            original = str(self._originals[seen])
            text = text.replace(f"{seen}/", f"{original.rstrip('/')}/").replace(str(seen), original)
        return text


@contextlib.contextmanager
def staged(spec: MachineSpec, host: Host, project: Project, run_dir: Path) -> Iterator[Staged]:
    """Stage for a lab host and undo it at the end; for the native host nothing is moved.

    Links and claims must outlast the machine: leave it only after the host has been closed.
    """
    ports.require_free(spec.nets)
    files = Staged(spec)
    with contextlib.ExitStack() as undo:
        if host.name == "lab":
            _Stager(files, host, project, run_dir, undo).stage()
        yield files


class _Stager:
    """Moves one spec into a lab host; each step is put on the stack ``undo`` at once."""

    def __init__(
        self,
        files: Staged,
        host: Host,
        project: Project,
        run_dir: Path,
        undo: contextlib.ExitStack,
    ) -> None:
        self._files = files
        self._host = host
        self._build = project.build.resolve()
        self._cache = project.cache.resolve()
        self._run_dir = run_dir
        self._undo = undo

    def stage(self) -> None:
        spec = self._files.spec
        for share in spec.shares:
            self._check_share(share)
        below = [images.claim(disk, self._undo) for disk in spec.disks]
        disks = tuple(
            self._disk(disk, number, files)
            for number, (disk, files) in enumerate(zip(spec.disks, below, strict=True))
        )
        self._files.spec = replace(
            spec,
            kernel=self._read(spec.kernel),
            initrd=None if spec.initrd is None else self._read(spec.initrd),
            disks=disks,
            shares=tuple(replace(one, path=self._fresh(one.path)) for one in spec.shares),
            nets=tuple(self._nets(spec.nets)),
        )

    def _fresh(self, path: Path) -> Path:
        """The path at which the host sees the file's current state."""
        return self._files.add(self._host.seen(path.resolve()), path)

    def _nets(self, nets: Sequence[NetSpec]) -> Iterator[NetSpec]:
        """The nets with ports of this machine that lead to the VMM's ports in the lab host."""
        ours = [forward for net in nets for forward in net.forwards]
        theirs = list(ports.in_lab_host(ours))
        if ours:
            self._lend(list(zip(ours, theirs, strict=True)))
        there = iter(theirs)
        closed = tuple(filter(None, (self._host.uplink,)))
        for net in nets:
            script, downscript = (
                str(self._fresh(Path(program))) if program else ""
                for program in (net.script, net.downscript)
            )
            yield replace(
                net,
                script=script,
                downscript=downscript,
                forwards=tuple(itertools.islice(there, len(net.forwards))),
                closed=closed if net.kind is NetKind.USER else (),
            )

    def _lend(self, pairs: Sequence[tuple[Forward, Forward]]) -> None:
        if not self._host.uplink:
            raise UserError(
                f"hostfwd {pairs[0][0].host}: this machine's QEMU has no user network, so none of "
                "its ports leads into a lab host",
                "install a QEMU with libslirp, or use --host native",
            )
        self._undo.callback(self._host.lend_ports(pairs).close)

    def _check_share(self, share: ShareSpec) -> None:
        """Refuse a share that a lab host can't offer: it reads all folders, and writes only ours.

        A folder can't be linked. The host's own proc and sysfs hide ours (``guest/labhost.c``).
        """
        if below := _exposed_processes(
            share.path.resolve(), _MOUNTINFO.read_text(errors="surrogateescape")
        ):
            raise UserError(
                f"share {share.path}: through {below}, a mount of proc, the guest of a lab host "
                "would read the memory of this machine's processes",
                "unmount that, share another folder, or use --host native",
            )
        if not share.read_only and not share.path.resolve().is_relative_to(self._build):
            raise UserError(
                f"a lab host can't write to {share.path}",
                f"use {share.path},ro, or a folder in {self._build}, or --host native",
            )

    def _disk(self, disk: DiskSpec, number: int, below: Sequence[Path]) -> DiskSpec:
        write = disk.written
        path = self._write(disk.path, f"disk{number}") if write else self._fresh(disk.path)
        if disk.format != "qcow2":
            return replace(disk, path=path)
        # A linked image is not in the folder that its backing file's name is relative to.
        folder = disk.backing_folder or disk.path.parent
        return replace(
            disk,
            path=path,
            backing_folder=self._fresh(folder),
            backing=tuple(self._places(folder, *disk.backing)),
            backing_files=tuple(map(self._fresh, below)),
        )

    def _places(self, folder: Path, *allowed: Path) -> Iterator[Path]:
        """The host's paths of ``build``, if it is in a place, and of all places but ``folder``."""
        yield from map(self._fresh, allowed)
        if any(self._build.is_relative_to(place.resolve()) for place in (folder, *allowed)):
            yield self._fresh(self._build)

    def _read(self, path: Path) -> Path:
        """Files in the cache never change, so a lab host may read them through its own cache."""
        real = path.resolve()
        if real.is_relative_to(self._cache):
            return path
        return self._fresh(path)

    def _write(self, path: Path, name: str) -> Path:
        real = path.resolve()
        if real.is_relative_to(self._build):
            return self._fresh(path)
        link = self._link(path, real, f"{name}-{path.name}")
        return self._files.add(self._host.seen(link), path)

    def _link(self, path: Path, real: Path, name: str) -> Path:
        """Link the user's file into a folder that the lab host writes."""
        exports = [folder / f"{self._run_dir.name}-{name}" for folder in self._host.disk_folders]
        refusal = "no folder for it"
        for link in map(_shortened, (self._run_dir / name, *exports)):
            try:
                link.unlink(missing_ok=True)  # a killed command may have left one
                os.link(real, link)
            except OSError as failed:
                refusal = str(failed.strerror)
                continue
            self._undo.callback(link.unlink, missing_ok=True)
            return link
        raise UserError(
            f"a lab host can't write {path}: a hard link to it can't be made ({refusal})",
            f"use {path},transient, or put it in {self._build}, or --host native",
        )


def _shortened(path: Path) -> Path:
    """The path with its name cut to the longest that a folder takes."""
    name = path.name.encode(errors="surrogateescape")[:_NAME_BYTES]
    return path.with_name(name.decode(errors="ignore"))


def _exposed_processes(folder: Path, mountinfo: str) -> Path | None:
    """A mount of proc, other than /proc itself, in or around ``folder`` (proc(5), mountinfo).

    The VMM keeps its guest out of every proc that it recognizes (``ninep/file_system.cpp``); in a
    lab host, this machine's is part of a 9p mount like any other folder.
    """
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        # Blanks are escaped as \040 there.
        raw = head.split()[4].encode(errors="surrogateescape").decode("unicode_escape")
        point = Path(raw.encode("latin-1").decode(errors="surrogateescape"))
        if tail.split()[0] != "proc" or any(point.is_relative_to(hidden) for hidden in _HIDDEN):
            continue
        if point.is_relative_to(folder) or folder.is_relative_to(point):
            return point
    return None


def written(disks: Sequence[DiskSpec]) -> tuple[Path, ...]:
    """The images that a host must be able to write."""
    return tuple(disk.path.resolve() for disk in disks if disk.written)
