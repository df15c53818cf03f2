# SPDX-License-Identifier: GPL-2.0-only
"""Put the user's own files where a lab host sees them as they are, and can write them.

Nothing is copied: what a guest has synced is in the user's own file, whatever is killed then.
A lab host reads this machine's files through a cache, which does not notice what changes, and
once more without one; there it reads whatever a user names (a kernel being rebuilt at the same
path, a folder, a script). A disk that it writes is linked into the run's folder, which both sides
write, or into a folder on the disk's own file system that it was booted with (``host/exports.py``).
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
# Folders of which a lab host has its own, which hide ours.
_HIDDEN = tuple(map(Path, ("/proc", "/sys")))


class Staged:
    """A spec whose files the host can use, and the way back to the user's names."""

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self._originals: dict[Path, Path] = {}

    def add(self, seen: Path, original: Path) -> Path:
        """The host has ``original`` at ``seen``."""
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
    """Stage for a lab host, undone at the end; for the native host nothing is moved.

    Links and claims must outlast the machine: leave it when the host has been closed.
    """
    ports.require_free(spec.nets)
    files = Staged(spec)
    with contextlib.ExitStack() as undo:
        if host.name == "lab":
            _Stager(files, host, project, run_dir, undo).stage()
        yield files


class _Stager:
    """One spec on its way into a lab host; all that it does is on the stack ``undo`` at once."""

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
        """Where the host has it as it is at the time."""
        return self._files.add(self._host.seen(path.resolve()), path)

    def _nets(self, nets: Sequence[NetSpec]) -> Iterator[NetSpec]:
        """With ports of this machine that lead to where the VMM listens in the lab host."""
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
        """A folder can't be linked; a lab host reads all folders, and writes only ours.

        Its own proc and sysfs hide those of this machine (``guest/labhost.c``).
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
        read = disk.read_only
        path = self._fresh(disk.path) if read else self._write(disk.path, f"disk{number}")
        if disk.format != "qcow2":
            return replace(disk, path=path)
        # A linked image has left the folder that its backing file's name counts from.
        folder = disk.backing_folder or disk.path.parent
        return replace(
            disk,
            path=path,
            backing_folder=self._fresh(folder),
            backing=tuple(self._places(folder, *disk.backing)),
            backing_files=tuple(map(self._fresh, below)),
        )

    def _places(self, folder: Path, *allowed: Path) -> Iterator[Path]:
        """All that is allowed besides ``folder``: what lies in ``build`` the host has there."""
        yield from map(self._fresh, allowed)
        if any(self._build.is_relative_to(place.resolve()) for place in (folder, *allowed)):
            yield self._fresh(self._build)

    def _read(self, path: Path) -> Path:
        """What is in the cache never changes, so a lab host may read it through its own."""
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
        """A second name for the user's file, in a folder that the lab host writes."""
        exports = [folder / f"{self._run_dir.name}-{name}" for folder in self._host.disk_folders]
        refusal = "no folder for it"
        for link in map(_shortened, (self._run_dir / name, *exports)):
            try:
                link.unlink(missing_ok=True)  # a killed command may have left its own
                os.link(real, link)
            except OSError as failed:
                refusal = str(failed.strerror)
                continue
            self._undo.callback(link.unlink, missing_ok=True)
            return link
        raise UserError(
            f"a lab host can't write {path}: a hard link to it can't be made ({refusal})",
            f"use {path},ro, or put it in {self._build}, or --host native",
        )


def _shortened(path: Path) -> Path:
    """With a name that a folder takes."""
    name = path.name.encode(errors="surrogateescape")[:_NAME_BYTES]
    return path.with_name(name.decode(errors="ignore"))


def _exposed_processes(folder: Path, mountinfo: str) -> Path | None:
    """A mount of proc, besides /proc itself, in ``folder`` or around it (proc(5), mountinfo).

    The VMM keeps its guest out of every proc that it can tell (``ninep/file_system.cpp``); in a
    lab host that of this machine is part of a 9p mount like any other folder.
    """
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        # A space is \040 there.
        raw = head.split()[4].encode(errors="surrogateescape").decode("unicode_escape")
        point = Path(raw.encode("latin-1").decode(errors="surrogateescape"))
        if tail.split()[0] != "proc" or any(point.is_relative_to(hidden) for hidden in _HIDDEN):
            continue
        if point.is_relative_to(folder) or folder.is_relative_to(point):
            return point
    return None


def written(disks: Sequence[DiskSpec]) -> tuple[Path, ...]:
    """The images that a host must be able to write."""
    return tuple(disk.path.resolve() for disk in disks if not disk.read_only)
