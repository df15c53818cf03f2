# SPDX-License-Identifier: GPL-2.0-only
"""Connects the machine's ends of the user's serial lines to the worker's messages.

Bytes for a guest that does not read wait up to a limit and are then lost, as on a real line:
they must not keep the worker from other messages.
"""

from __future__ import annotations

from collections.abc import Mapping

from kvm.vm.events import EventWriter
from kvm.waiting import write_waiting

_WAITING_BYTES = 64 * 1024


class Ttys:
    """``fds`` are the machine's ends by line number."""

    def __init__(self, fds: Mapping[int, int], out: EventWriter) -> None:
        self._out = out
        self._fds = dict(fds)
        self._lines = {fd: line for line, fd in fds.items()}
        self._waiting = {fd: bytearray() for fd in self._lines}

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(self._lines)

    def __contains__(self, fd: int) -> bool:
        return fd in self._lines

    def wants_out(self, fd: int) -> bool:
        return bool(self._waiting[fd])

    def send(self, line: int, data: bytes) -> None:
        """Send bytes to the guest."""
        fd = self._fds.get(line)
        if fd is None:
            return  # not a line of this machine
        waiting = self._waiting[fd]
        waiting += data[: _WAITING_BYTES - len(waiting)]
        self.write(fd)

    def write(self, fd: int) -> None:
        """Write as much of the waiting bytes as the guest's end takes."""
        waiting = self._waiting[fd]
        try:
            write_waiting(fd, waiting)
        except OSError:
            waiting.clear()  # the machine is closing

    def pass_on(self, fd: int, data: bytes) -> None:
        """Pass on what the guest wrote."""
        self._out.send("tty", line=self._lines[fd], data=data)
