# SPDX-License-Identifier: GPL-2.0-only
"""The worker's input: complete lines from a descriptor, read only when it is ready."""

from __future__ import annotations

import os

_READ_BYTES = 64 * 1024


class LineReader:
    """Keeps at most one incomplete line and the data of one read."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = bytearray()

    def fill(self) -> bool:
        """Read once; False at the end of the input."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def take(self) -> list[bytes]:
        """The complete lines so far."""
        *complete, rest = self._buffer.split(b"\n")
        self._buffer = rest
        return [bytes(line) for line in complete if line]

    def first(self) -> bytes | None:
        """Wait for one line and leave the others; None at the end of the input."""
        while b"\n" not in self._buffer:
            if not self.fill():
                return None
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        return bytes(line)
