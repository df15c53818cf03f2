# SPDX-License-Identifier: GPL-2.0-only
"""Lab hosts that were saved after their boot, from which each new one starts.

A lab host that serves one machine after another changes: its caches go stale, a warning that is
printed once is never printed again, and a fault that one machine provokes meets the next. A boot
for each machine would take seconds. So a lab host is booted once, saved before it has seen any
machine, and each command starts from that: QEMU maps the saved memory copy on write, and what is
done in it is lost with it.

The cache has a folder each, ``lab-hosts/KEY``; its name is a hash of all that a saved lab host is
made of, so one is never changed. The files are written in a folder of another name, which is
renamed at the end: a killed command leaves no half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.files import UNFINISHED, keep_newest
from kvm.host.agent_files import PreloadedVmm
from kvm.host.base import Event
from kvm.host.instance import PROGRAMS, Instance, programs_stamp
from kvm.host.monitor import Monitor
from kvm.host.qemu import BINARY, SAVER, LabMachine, SavedState, qemu_argv
from kvm.host.snapshot import BootedMachine

_KEPT = 8  # of about 150 MB each
_KEPT_MARKS = 64
_UNFINISHED_LIFE_S = 600.0
_MONITOR_S = 10.0
_SAVE_S = 30.0
_LOOK_S = 0.005
_COPY_BYTES = 1 << 30
# A copy of all the memory fits: how much of it is in use is not known before.
_RESERVE_MIB = 256
_EVENTS, _SEAL = "events.json", "seal.json"
_MEMFD = "/memfd:"
_BLOCK = 512  # bytes, of st_blocks
_MOST_USED = 0.75  # of the memory, by a lab host that has just booted


class NotSaved(Exception):
    """A lab host can't be saved here, and why; it goes on."""


@dataclass(frozen=True, slots=True)
class Store:
    """The saved lab hosts in a folder of the cache; ``asked`` is a folder for ``was_asked``."""

    folder: Path
    asked: Path

    def find(self, key: str) -> SavedState | None:
        """A saved lab host; the least recently used ones are removed first (``prune``)."""
        home = self.folder / key
        try:
            os.utime(home)
        except OSError:
            return None
        return _state(home)

    def has_others(self, key: str) -> bool:
        """Whether there are lab hosts that differ from that of ``key`` by having a VMM."""
        return any(self.folder.glob(f"{key}-*"))

    def was_asked(self, key: str) -> bool:
        """Whether it was asked for before: what is needed once is not worth saving."""
        mark = self.asked / key
        known = mark.exists()
        self.asked.mkdir(parents=True, exist_ok=True)
        mark.touch()
        if not known:
            keep_newest(self.asked, _KEPT_MARKS)
        return known

    def unaltered(self, key: str) -> bool:
        """Whether its files are what was saved: all of them, and not touched since."""
        home = self.folder / key
        try:
            return (home / _SEAL).read_text(encoding="utf-8") == _seal(home)
        except OSError:
            return False

    def events(self, key: str) -> tuple[Event, ...]:
        """The boot of the machine that was saved with it (``host/snapshot.py``)."""
        return tuple(json.loads((self.folder / key / _EVENTS).read_text(encoding="utf-8")))

    def drop(self, key: str) -> None:
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def save(
        self, key: str, running: Instance, machine: LabMachine, events: Sequence[Event] = ()
    ) -> None:
        """Save a lab host, which is stopped meanwhile, a tenth of a second. Raises ``NotSaved``."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._require_room(machine)
            with tempfile.TemporaryDirectory(
                prefix=UNFINISHED, dir=self.folder, ignore_cleanup_errors=True
            ) as draft:
                (Path(draft) / _EVENTS).write_text(json.dumps(events), encoding="utf-8")
                _save(running, _state(Path(draft)))
                reseal(Path(draft))
                # One that another command has saved meanwhile is as good.
                with contextlib.suppress(OSError):
                    os.rename(draft, self.folder / key)  # noqa: PTH104
            self.prune()
        except (OSError, ValueError) as failed:
            raise NotSaved(str(failed)) from failed

    def prune(self) -> None:
        """Keep the most recently used ones; remove what killed commands have left."""
        keep_newest(self.folder, _KEPT)
        too_old = time.time() - _UNFINISHED_LIFE_S
        for draft in self.folder.glob(f"{UNFINISHED}*"):
            if draft.stat().st_mtime < too_old:
                shutil.rmtree(draft, ignore_errors=True)

    def _require_room(self, machine: LabMachine) -> None:
        free_mib = shutil.disk_usage(self.folder).free >> 20
        if free_mib < machine.memory_mib + _RESERVE_MIB:
            raise NotSaved(f"{free_mib} MiB are free in {self.folder}")


def hosts_in(cache: Path) -> Store:
    """The lab hosts that were saved before they had run any machine."""
    return Store(cache / "lab-hosts", cache / "lab-asked")


def snapshots_in(cache: Path) -> Store:
    """Those that were saved with a booted machine."""
    return Store(cache / "snapshots", cache / "lab-asked")


def key_of(machine: LabMachine, image: str) -> str:
    """16 hexadecimal digits for all that a saved lab host is made of, but a VMM.

    ``image`` is the kernel's, without modules. What QEMU gives it (folders, sockets) may differ: it
    is mounted and connected afterwards.
    """
    nowhere = Path("/")
    words = (image, *qemu_argv(machine.unfurnished(), socket=nowhere, console=nowhere))
    return _digest(*words, machine.initrd.name)


def with_vmm(key: str, vmm: PreloadedVmm) -> str:
    """The key of the same lab host with a VMM in its memory."""
    return f"{key}-{_digest(str(vmm.artifact), str(vmm.bundle))}"


def with_modules(key: str, kernel_id: str) -> str:
    """The key of the same lab host in which that kernel's modules are inserted."""
    return f"{key}-{kernel_id}"


def with_machine(key: str, machine: BootedMachine) -> str:
    """The key of the same lab host in which that machine is booted and paused."""
    return f"{key}-{machine.key}"


def _digest(*words: str) -> str:
    programs = programs_stamp((*PROGRAMS, shutil.which(BINARY) or BINARY))
    return hashlib.sha256("\0".join(words).encode() + programs).hexdigest()[:16]


def go_on(waiting: Instance, state: SavedState) -> None:
    """Let a QEMU that has been started with ``state`` go on from it.

    Raises ``OSError`` if it does not listen (yet), ``Refused``.
    """
    with contextlib.closing(Monitor(SAVER, _MONITOR_S, waiting.folder)) as monitor:
        if state.to_save:
            _copy_memory(str(state.ram), _memory_of(waiting))
        _ignore_shared(monitor)
        monitor.ask("migrate-incoming", uri=f"exec:exec cat {shlex.quote(str(state.devices))}")


def reseal(home: Path) -> None:
    """Take the files of a saved lab host for what they should be."""
    (home / _SEAL).write_text(_seal(home), encoding="utf-8")


def _seal(home: Path) -> str:
    """What tells whether a file was altered. To read all the memory would take too long."""
    state = _state(home)
    read = (state.devices, state.console, home / _EVENTS)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in read]
    info = state.ram.stat()
    return json.dumps([info.st_size, info.st_mtime_ns, *sums])


def _state(home: Path) -> SavedState:
    return SavedState(home / "ram", home / "devices", home / "console.log")


def _save(running: Instance, state: SavedState) -> None:
    """Raises ``OSError`` or ``ValueError`` (``monitor.Refused``)."""
    with contextlib.closing(Monitor(SAVER, _MONITOR_S, running.folder)) as monitor:
        _ignore_shared(monitor)
        try:
            # It is stopped once that is done, and so is its memory; but saved as one that runs.
            target = shlex.quote(str(state.devices))
            monitor.ask("migrate", uri=f"exec:exec cat >{target}")
            _await_end(monitor)
            _copy_memory(_memory_of(running), str(state.ram))
            _require_holes_and_mmap(state.ram)
            shutil.copyfile(running.console, state.console)
        finally:
            monitor.ask("cont")


def _ignore_shared(monitor: Monitor) -> None:
    """The state shall be that of the devices alone: shared memory is not part of it."""
    ignore = {"capability": "x-ignore-shared", "state": True}
    monitor.ask("migrate-set-capabilities", capabilities=[ignore])


def _await_end(monitor: Monitor) -> None:
    deadline = time.monotonic() + _SAVE_S
    while True:
        said = monitor.ask("query-migrate")
        status = said.get("status") if isinstance(said, dict) else None
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise ValueError(f"QEMU could not save it: {said}")
        if time.monotonic() >= deadline:
            raise TimeoutError(f"QEMU did not save it within {_SAVE_S:g} s")
        time.sleep(_LOOK_S)


def _copy_memory(source: str, target: str) -> None:
    """Copy the pages that a lab host has used; the rest of the copy takes no room."""
    with contextlib.ExitStack() as stack:
        ours = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, ours)
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, copy)
        size = os.fstat(ours).st_size
        os.truncate(copy, size)
        end = 0
        while (start := _seek(ours, end, os.SEEK_DATA, size)) < size:
            end = _seek(ours, start, os.SEEK_HOLE, size)
            os.lseek(copy, start, os.SEEK_SET)
            while start < end:
                done = os.sendfile(copy, ours, start, min(end - start, _COPY_BYTES))
                if not done:
                    raise OSError(f"{source} ends at {start} of {size} bytes")
                start += done


def _require_holes_and_mmap(copy: Path) -> None:
    """A file system without them would take a copy of all the memory, or none of QEMU's views."""
    with copy.open("rb") as stream:
        info = os.fstat(stream.fileno())
        if info.st_blocks * _BLOCK > info.st_size * _MOST_USED:
            raise NotSaved(f"the file system of {copy.parent.parent} makes no holes in files")
        try:
            mmap.mmap(stream.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ).close()
        except OSError as failed:
            where = copy.parent.parent
            raise NotSaved(
                f"the file system of {where} maps no files: {failed.strerror}"
            ) from failed


def _memory_of(one: Instance) -> str:
    """The memory of its QEMU as a file. Raises ``OSError`` if QEMU is gone."""
    found = one.processes()
    if found is None or found.qemu is None:
        raise ConnectionError("QEMU has ended")
    folder = f"/proc/{found.qemu.pid}/fd"
    for name in os.listdir(folder):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{name}").startswith(_MEMFD):  # noqa: PTH115
                return f"{folder}/{name}"
    raise FileNotFoundError(f"QEMU (pid {found.qemu.pid}) shows no memory to copy")


def _seek(fd: int, start: int, whence: int, size: int) -> int:
    """The next data or hole; the file's size if there is none."""
    try:
        return os.lseek(fd, start, whence)
    except OSError:
        return size
