# SPDX-License-Identifier: GPL-2.0-only
"""The agent's end of the line to the developer's machine: JSON lines over a virtio port.

Runs in the lab host, on the agent's only thread. The port is a byte stream without
connections: a client that was killed leaves half a line behind in either direction,
so every hello starts on a new line and lines that are no JSON object are dropped.
A port without a client reads as end of file and polls as hung up, always, which is
why it is polled edge-triggered (virtio_console.c wakes its readers when a client
comes or goes).
"""

from __future__ import annotations

import contextlib
import json
import os
import select

from kvm.waiting import write_waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

_READ_BYTES = 256 * 1024
_LINE_BYTES_MAX = 64 * 1024 * 1024


class Port:
    """Lines in and out of a non-blocking descriptor."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._received = bytearray()
        self._unsent = bytearray()

    @property
    def backlog(self) -> int:
        """Bytes the client has not taken yet."""
        return len(self._unsent)

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """The messages that have come, and whether there is no client now."""
        gone = False
        while True:
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                gone = True
                break
            self._received += data
        messages = self._take_lines()
        if len(self._received) > _LINE_BYTES_MAX:
            self._received.clear()
        return messages, gone

    def send(self, message: dict[str, Any]) -> None:
        self._unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def send_raw(self, line: bytes) -> None:
        """A line that is JSON already."""
        self._unsent += line + b"\n"
        self.flush()

    def break_line(self) -> None:
        """End whatever half line the client may see before what is sent next."""
        self._unsent += b"\n"

    def flush(self) -> None:
        """Write what the port takes now; the rest goes when it polls as writable."""
        with contextlib.suppress(OSError):  # nobody there: then drop_unsent() follows
            write_waiting(self.fd, self._unsent)

    def drop(self) -> None:
        """Forget what came from, and was meant for, a client that is gone."""
        self._received.clear()
        self._unsent.clear()

    def drop_unsent(self) -> None:
        """Forget what was meant for a client that is gone."""
        self._unsent.clear()

    def _take_lines(self) -> list[dict[str, Any]]:
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        return [message for line in lines if (message := _parse(bytes(line))) is not None]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
