# SPDX-License-Identifier: GPL-2.0-only
"""The user's serial lines, between the machine's ends and the worker's messages.

Bytes for a guest that does not read wait up to a limit, and are then lost, as on a real line: they
must not keep the worker from what else it is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from kvm.vm.events import EventWriter
from kvm.waiting import write_waiting

_WAITING_BYTES = 64 * 1024


class Ttys:
    """``fds`` are the machine's ends by the line's number."""

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
        """Bytes for the guest."""
        fd = self._fds.get(line)
        if fd is None:
            return  # not this machine's
        waiting = self._waiting[fd]
        waiting += data[: _WAITING_BYTES - len(waiting)]
        self.write(fd)

    def write(self, fd: int) -> None:
        """As much of what waits as the guest's end takes."""
        waiting = self._waiting[fd]
        try:
            write_waiting(fd, waiting)
        except OSError:
            waiting.clear()  # the machine is going

    def pass_on(self, fd: int, data: bytes) -> None:
        """What the guest wrote."""
        self._out.send("tty", line=self._lines[fd], data=data)
