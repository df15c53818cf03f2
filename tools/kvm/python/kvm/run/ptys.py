# SPDX-License-Identifier: GPL-2.0-only
"""A pseudo-terminal of this machine's for each serial line that the user has.

Wherever the VMM runs, the terminal is here. What the guest writes while nobody has it open is lost,
as on a line without a terminal; so is what exceeds the limit while somebody does not read.
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
    """Made on entry, gone on exit. ``paths`` are the terminals' by the line's number."""

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
        """What was typed since, as messages for the worker."""
        messages = []
        for number, master in self._masters.items():
            self._write(number)
            with contextlib.suppress(OSError):  # nothing there, or nobody
                data = os.read(master, _READ_BYTES)
                messages.append({"tty": number, "data": base64.b64encode(data).decode()})
        return messages

    def take(self, number: int, data: bytes) -> None:
        """What the guest wrote."""
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
            tty.setraw(user)  # lasts as long as the master; a user's program sets what it likes
            self.paths[number] = os.ttyname(user)
        finally:
            os.close(user)
        os.set_blocking(master, False)

    def _is_open(self, number: int) -> bool:
        """A master whose terminal nobody has open reports a hang-up."""
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
