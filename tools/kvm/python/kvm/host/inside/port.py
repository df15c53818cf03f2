# SPDX-License-Identifier: GPL-2.0-only
"""The agent's end of the line to the developer's machine: JSON lines over a virtio port.

Runs in the lab host, on the agent's only thread. The port is a byte stream without
connections: a killed client leaves half a line behind in either direction, so every hello
starts on a new line, and lines that are no JSON object are dropped. A port without a client
always reads as end of file and polls as hung up, so it is polled edge-triggered
(virtio_console.c wakes its readers when a client comes or goes).
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
    """Reads and writes lines on a non-blocking descriptor."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._received = bytearray()
        self._unsent = bytearray()

    @property
    def backlog(self) -> int:
        """Bytes that the client has not taken yet."""
        return len(self._unsent)

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """The messages that have come, and whether the client is gone."""
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
        """Send a line that is already JSON."""
        self._unsent += line + b"\n"
        self.flush()

    def break_line(self) -> None:
        """End any half line that the client may have seen, before more is sent."""
        self._unsent += b"\n"

    def flush(self) -> None:
        """Write what the port takes now; the rest follows when it polls as writable."""
        with contextlib.suppress(OSError):  # no client: then drop_unsent() follows
            write_waiting(self.fd, self._unsent)

    def drop(self) -> None:
        """Drop what came from, or was meant for, a client that is gone."""
        self._received.clear()
        self._unsent.clear()

    def drop_unsent(self) -> None:
        """Drop what was meant for a client that is gone."""
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
