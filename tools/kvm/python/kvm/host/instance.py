# SPDX-License-Identifier: GPL-2.0-only
"""A lab host as files and processes: where its state is, whether it runs, how to end it.

A checkout has one lab host a slot, ``build/lab/SLOT/KEY/``: commands use the slot ``main``,
and each worker of a matrix has its own. The key is a hash of all that determines a lab host
(slot, kernel, initramfs with the agent's command, QEMU's command), so a folder with that key
is the wanted lab host or none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.errors import InfrastructureError, UserError
from kvm.host import exports, keeper
from kvm.host.base import HostLost, HostPanic
from kvm.host.given import Kept
from kvm.host.identity import ProcessId, boot_id
from kvm.host.qemu import LabMachine, SavedState, qemu_argv
from kvm.project import Project

_PANIC = "Kernel panic - not syncing"
_AGENT_ENDED = "agent exited with"  # printed by the lab host's init
# QEMU prints this on SIGTERM, SIGINT or SIGHUP, before it exits with 0 (softmmu/runstate.c).
_QEMU_TOLD_TO_END = "terminating on signal"
_EXIT_RECORD_S = 5.0
_REAP_S = 2.0
_LOG_TAIL_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one lab host; ``qemu`` is None if it ended before it was recorded."""

    keeper: ProcessId
    qemu: ProcessId | None


@dataclass(frozen=True, slots=True)
class Instance:
    """One lab host, running or not."""

    folder: Path
    socket: Path

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def heartbeat(self) -> Path:
        return self.folder / keeper.HEARTBEAT

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def console_bytes(self) -> int:
        """How many bytes its kernel has printed so far."""
        try:
            return self.console.stat().st_size
        except OSError:
            return 0

    def console_text(self, start: int = 0) -> str:
        """The console's text after the first ``start`` bytes."""
        try:
            return self.console.read_bytes()[start:].decode(errors="replace")
        except OSError:
            return ""

    def processes(self) -> Processes | None:
        """The recorded processes, running or not; None if there is no usable record."""
        try:
            state = json.loads((self.folder / keeper.STATE).read_text())
            if state["boot_id"] != boot_id():
                return None
            qemu = None if state["qemu"] is None else ProcessId(*map(int, state["qemu"]))
            return Processes(ProcessId(*map(int, state["keeper"])), qemu)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def running(self) -> bool:
        found = self.processes()
        return found is not None and found.qemu is not None and found.qemu.alive

    def kept(self) -> Kept:
        """A measure of how long this computer does not run it."""
        found = self.processes()
        return Kept(None if found is None or found.qemu is None else found.qemu.pid)

    def boot(self, machine: LabMachine, idle_s: float, saved: SavedState | None = None) -> None:
        """Start QEMU under a keeper, anew or from a saved lab host.

        Raises ``UserError`` if QEMU is not installed.
        """
        command = qemu_argv(machine, socket=self.socket, console=self.console, saved=saved)
        if shutil.which(command[0]) is None:
            raise UserError(f"{command[0]} was not found", "run ./invoke doctor")
        self.discard()
        self.folder.mkdir(parents=True)
        exports.make(self.folder, machine.exports)
        self.heartbeat.touch()
        if saved is not None:
            shutil.copyfile(saved.console, self.console)
        script = Path(keeper.__file__)
        process.run(
            (sys.executable, "-I", "-S", script, self.folder, str(idle_s), *command), timeout_s=60
        )

    def discard(self) -> None:
        """End it if it runs, and remove its traces."""
        found = self.processes()
        if found is not None:
            if found.qemu is not None:
                _end(found.qemu)
                found.keeper.wait(_REAP_S)  # it reaps QEMU, then ends
            _end(found.keeper)
        exports.remove(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.socket.unlink(missing_ok=True)

    def loss(self, console_start: int = 0) -> HostLost:
        """Why a lab host that was up is gone."""
        console = self.console_text(console_start)
        ended = self._exit_record()
        if _PANIC in console:
            return HostPanic(
                f"the lab host's kernel panicked: {_panic_line(console)}", console=console
            )
        if ended is None:
            return HostLost("the lab host is gone, and nobody saw how", console=console)
        if ended["idle"]:
            return HostLost("the lab host was ended because nobody used it", console=console)
        if ended["status"] != 0:
            return HostLost(self._qemu_death(int(ended["status"])), console=console)
        if _QEMU_TOLD_TO_END in self._qemu_log():
            return HostLost(
                f"somebody ended the lab host's QEMU\n{self._qemu_log()}".strip(), console=console
            )
        if _AGENT_ENDED in console:
            return HostLost("the lab host's agent ended", console=console)
        return HostPanic("the lab host's kernel reset without a panic message", console=console)

    def _exit_record(self) -> dict[str, int] | None:
        """Read the keeper's record; it comes a moment after the end, or never if it was killed."""
        deadline = time.monotonic() + _EXIT_RECORD_S
        found = self.processes()
        while True:
            last_look = found is None or not found.keeper.alive or time.monotonic() >= deadline
            with contextlib.suppress(OSError, ValueError):
                return dict(json.loads((self.folder / keeper.ENDED).read_text()))
            if last_look:
                return None
            time.sleep(0.02)

    def _qemu_death(self, status: int) -> str:
        how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
        return f"the lab host's QEMU {how}\n{self._qemu_log()}".strip()

    def _qemu_log(self) -> str:
        """The end of QEMU's own output."""
        with contextlib.suppress(OSError):
            log = (self.folder / keeper.QEMU_LOG).read_text(errors="replace")
            return log[-_LOG_TAIL_CHARS:].strip()
        return ""


MAIN_SLOT = "main"


def slot_folder(project: Project, slot: str) -> Path:
    return project.build / "lab" / slot


def instance(project: Project, slot: str, key: str) -> Instance:
    return Instance(slot_folder(project, slot) / key, runtime_folder() / f"{key}.sock")


def instances(project: Project, slot: str) -> Iterator[Instance]:
    """All lab hosts that have left a trace in this slot."""
    folder = slot_folder(project, slot)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                yield instance(project, slot, path.name)


def slots(project: Project) -> tuple[str, ...]:
    """The slots this checkout has used."""
    folder = project.build / "lab"
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir())) if folder.is_dir() else ()


def machine_key(project: Project, slot: str, machine: LabMachine, kernel_id: str) -> str:
    """16 hexadecimal digits for this lab host of this checkout."""
    nowhere = Path("/")
    argv = qemu_argv(machine, socket=nowhere, console=nowhere)
    digest = hashlib.sha256("\0".join((str(project.root), slot, kernel_id, *argv)).encode())
    digest.update(programs_stamp(PROGRAMS))
    return digest.hexdigest()[:16]


# Python, and a file that is rewritten whenever a library is installed (ldconfig(8)).
PROGRAMS = (os.path.realpath(sys.executable), "/etc/ld.so.cache")


def programs_stamp(files: Sequence[str]) -> bytes:
    """A stamp of this machine's programs: a lab host keeps using those that it has read."""
    found: list[tuple[int, int, int]] = []
    for file in files:
        with contextlib.suppress(OSError):
            info = os.stat(file)  # noqa: PTH116
            found.append((info.st_ino, info.st_size, info.st_mtime_ns))
    return repr(found).encode()


def runtime_folder() -> Path:
    """A short path of this user's own, because a socket's has at most 107 bytes.

    ``$XDG_RUNTIME_DIR/tools-kvm``, or ``tools-kvm-UID`` in the folder for temporary files.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.access(base, os.W_OK):
        folder = Path(base) / "tools-kvm"
    else:
        folder = Path(tempfile.gettempdir()) / f"tools-kvm-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UserError(
            f"{folder} must be a folder that only you can enter",
            "remove it, or set XDG_RUNTIME_DIR to a folder of yours",
        )
    return folder


def _end(one: ProcessId) -> None:
    if not one.kill():
        raise InfrastructureError(
            f"the lab host's process {one.pid} can't be killed",
            "look at it with ps; it may hang in the kernel",
        )


def _panic_line(console: str) -> str:
    line = next(line for line in console.splitlines() if _PANIC in line)
    return line.partition(f"{_PANIC}: ")[2].strip() or line.strip()
