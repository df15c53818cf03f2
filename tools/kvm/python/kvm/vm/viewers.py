# SPDX-License-Identifier: GPL-2.0-only
"""Connects viewers of the machine's display, at its VNC server, to the worker's messages.

A viewer is opened, exchanges bytes, and is closed from either side. One that sends faster than
it is served is closed, so that it does not keep the worker from other messages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from kvm.vm.events import EventWriter
from kvm.vm.machine import Machine
from kvm.waiting import write_waiting

_WAITING_BYTES = 1 << 20


class Viewers:
    """Each viewer has a number, chosen by the process that started the worker."""

    def __init__(self, machine: Machine, out: EventWriter) -> None:
        self._machine = machine
        self._out = out
        self._fds: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._waiting: dict[int, bytearray] = {}

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(self._numbers)

    def __contains__(self, fd: int) -> bool:
        return fd in self._numbers

    def wants_out(self, fd: int) -> bool:
        return bool(self._waiting[fd])

    def serve(self, message: Mapping[str, Any], data: bytes) -> None:
        """Handle ``open``, ``close``, or ``data`` of a viewer."""
        number = int(message["viewer"])
        if message.get("open"):
            self._open(number)
        fd = self._fds.get(number)
        if fd is None:
            return  # closed meanwhile
        if message.get("close"):
            self.close(fd)
            return
        self._waiting[fd] += data
        if len(self._waiting[fd]) > _WAITING_BYTES:
            self.close(fd)
        else:
            self.write(fd)

    def write(self, fd: int) -> None:
        """Write as much of the waiting bytes as the server takes."""
        try:
            write_waiting(fd, self._waiting[fd])
        except OSError:
            self.close(fd)

    def read(self, fd: int, size: int) -> None:
        """Pass on the server's output; when it ends, so does the viewer."""
        try:
            data = os.read(fd, size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._out.send("viewer", viewer=self._numbers[fd], data=data)
        else:
            self.close(fd)

    def close(self, fd: int) -> None:
        number = self._numbers.pop(fd)
        del self._fds[number], self._waiting[fd]
        os.close(fd)
        self._out.send("viewer", viewer=number, closed=True)

    def _open(self, number: int) -> None:
        try:
            fd = self._machine.connect_viewer()
        except ValueError:
            self._out.send("viewer", viewer=number, closed=True)
            return
        self._fds[number], self._numbers[fd] = fd, number
        self._waiting[fd] = bytearray()
