# SPDX-License-Identifier: GPL-2.0-only
"""A pseudo-terminal on this machine for each serial line that the user asked for.

It is here wherever the VMM runs. Guest output is lost while no program has it open, as on a line
without a terminal; so is output above the limit if the program does not read.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from kvm.waiting import write_waiting

_READ_BYTES = 4096
_WAITING_BYTES = 256 * 1024


class Ptys:
    """Created on entry, removed on exit. ``paths`` are the terminals by line number."""

    def __init__(self, lines: Sequence[int]) -> None:
        self._numbers = tuple(lines)
        self._masters: dict[int, int] = {}
        self._waiting: dict[int, bytearray] = {}
        self.paths: dict[int, str] = {}

    def __enter__(self) -> Ptys:
        try:
            for number in self._numbers:
                self._open(number)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in self._masters:
            self._write(number)
        self._close()

    def poll(self) -> list[dict[str, Any]]:
        """What was typed since the last call, as messages for the worker."""
        messages = []
        for number, master in self._masters.items():
            self._write(number)
            with contextlib.suppress(OSError):  # no data, or no program has it open
                data = os.read(master, _READ_BYTES)
                messages.append({"tty": number, "data": base64.b64encode(data).decode()})
        return messages

    def take(self, number: int, data: bytes) -> None:
        """Take what the guest wrote to line ``number``."""
        if number not in self._masters:
            return
        if not self._is_open(number):
            self._waiting[number].clear()
            return
        waiting = self._waiting[number]
        waiting += data[: _WAITING_BYTES - len(waiting)]
        self._write(number)

    def _open(self, number: int) -> None:
        master, user = os.openpty()
        self._masters[number], self._waiting[number] = master, bytearray()
        try:
            tty.setraw(
                user
            )  # stays so as long as the master is open; a user's program may change it
            self.paths[number] = os.ttyname(user)
        finally:
            os.close(user)
        os.set_blocking(master, False)

    def _is_open(self, number: int) -> bool:
        """A master reports a hang-up while no program has its terminal open."""
        poll = select.poll()
        poll.register(self._masters[number], 0)
        return not any(events & select.POLLHUP for _, events in poll.poll(0))

    def _write(self, number: int) -> None:
        waiting = self._waiting[number]
        with contextlib.suppress(OSError):
            write_waiting(self._masters[number], waiting)

    def _close(self) -> None:
        for master in self._masters.values():
            os.close(master)
        self._masters.clear()
