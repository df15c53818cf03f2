# SPDX-License-Identifier: GPL-2.0-only
"""Owns a lab host's QEMU: starts it, ends it when no client uses it, reaps it.

It is a small process (``python3 -I -S keeper.py FOLDER IDLE_SECONDS QEMU…``) in its own session,
so that a lab host can be kept for the next command, and is ended if its command was killed. A
healthy lab host ends itself when idle; the keeper is for one that hangs. QEMU dies with its keeper.

In FOLDER, clients touch ``heartbeat`` as long as they are connected; the keeper only checks
whether its time has changed, so the computer's clock does not matter. The keeper writes
``state.json`` once QEMU runs (only then does the command above return), at last ``exit.json``
with how it ended; QEMU's own output goes to ``qemu.log``. When QEMU ends, the folders that
``exports.json`` names (``exports.py``) are removed; ``forwards.py`` lends the ports that it
forwards. Every boot waits for the keeper, so it imports little before QEMU runs.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kvm.host.forwards import Lender

STATE = "state.json"
ENDED = "exit.json"
HEARTBEAT = "heartbeat"
EXPORTS = "exports.json"
EXPORT_PREFIX = ".tools-kvm-"
QEMU_LOG = "qemu.log"

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_CHECK_S = 5.0
_CANNOT_RUN = 127


def main(folder: str, idle_s: float, command: list[str]) -> int:
    """Return once the lab host has a keeper; the keeper stays until QEMU ends."""
    os.chdir(folder)
    if os.fork() == 0:
        try:
            _keep(idle_s, command)
        finally:
            os._exit(0)
    return 0


def _keep(idle_s: float, command: list[str]) -> None:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        _become_qemu(command, os.getppid())
    pidfd = os.pidfd_open(pid)
    exports = recorded_exports(".")
    _record(pid)
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    lender = _lender(waiting, command)
    _leave_terminal()  # the command, which learns of QEMU now, may want ports at once
    idle = False
    seen, since = _heartbeat(), time.monotonic()
    while True:
        ready = [fd for fd, _ in waiting.poll(_CHECK_S * 1000)]
        if pidfd in ready:
            break
        for fd in ready:
            assert lender is not None
            lender.serve(fd)
        beat = _heartbeat()
        if beat is not None and beat != seen:
            seen, since = beat, time.monotonic()
        if beat is None or time.monotonic() - since > idle_s:
            idle = True
            os.kill(pid, _SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    remove_folders(exports)
    _write(ENDED, {"status": status, "idle": idle})


def _lender(waiting: select.poll, command: list[str]) -> Lender | None:
    """The lender of ports; None for a lab host without an uplink."""
    if not any("id=monitor" in word for word in command):
        return None
    from kvm.host.forwards import Lender

    return Lender(waiting)


def recorded_exports(folder: str) -> list[str]:
    """The folders elsewhere that belong to the lab host recorded in ``folder``.

    Only names of ours count: what a damaged record names must not be removed.
    """
    try:
        with open(f"{folder}/{EXPORTS}") as stream:  # noqa: PTH123
            names = [str(name) for name in json.load(stream)]
    except (OSError, ValueError, TypeError):
        return []
    return [name for name in names if name.rpartition("/")[2].startswith(EXPORT_PREFIX)]


def remove_folders(folders: list[str]) -> None:
    """Remove the folders and the links in them, which are images' names left by killed commands."""
    for folder in folders:
        try:
            for name in os.listdir(folder):  # noqa: PTH208
                os.unlink(f"{folder}/{name}")  # noqa: PTH108
            os.rmdir(folder)  # noqa: PTH106
        except OSError:
            pass  # gone, or another program has put a folder in it


def _record(qemu: int) -> None:
    """Record the processes so that a recycled pid can't be mistaken for one of them."""
    sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))  # noqa: PTH100
    from kvm.host.identity import ProcessId, boot_id

    processes = {"keeper": ProcessId.of(os.getpid()), "qemu": ProcessId.of(qemu)}
    state: dict[str, object] = {"boot_id": boot_id()}
    for name, process in processes.items():
        state[name] = None if process is None else [process.pid, process.start]
    _write(STATE, state)


def _leave_terminal() -> None:
    """Close our output: the process that started us waits for its end."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _become_qemu(command: list[str], keeper: int) -> NoReturn:
    try:
        _die_with_parent(keeper)
        log = os.open(QEMU_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvp(command[0], command)
    except OSError as failed:
        os.write(2, f"{command[0]}: {failed.strerror}\n".encode())
    finally:
        os._exit(_CANNOT_RUN)


def _die_with_parent(parent: int) -> None:
    """prctl(2): the kernel kills QEMU when its keeper dies, however it dies."""
    try:
        import ctypes
    except ImportError:  # an interpreter without it: a killed keeper then leaves QEMU idle
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(_CANNOT_RUN)


def _heartbeat() -> int | None:
    """The heartbeat's time, by the client's clock; None if the folder is gone for good."""
    try:
        return os.stat(HEARTBEAT).st_mtime_ns  # noqa: PTH116
    except OSError:
        return None


def _write(name: str, content: dict[str, object]) -> None:
    """Write a file completely or not at all; a folder that is gone needs no record."""
    draft = f"{name}.new"
    try:
        with open(draft, "w") as stream:  # noqa: PTH123
            json.dump(content, stream)
        os.rename(draft, name)  # noqa: PTH104
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
