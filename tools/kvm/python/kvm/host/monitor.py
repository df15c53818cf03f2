# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, over its protocol (QMP). Imports little: a keeper waits for it."""

from __future__ import annotations

import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_LINE_BYTES = 64 * 1024


class Refused(ValueError):
    """QEMU refuses a command, or answers with something that is not QMP."""


class Monitor:
    """A connection to the monitor of one QEMU; ``OSError`` from any call: QEMU hangs or is gone."""

    def __init__(self, name: str, timeout_s: float, folder: Path | None = None) -> None:
        """Connect to the socket ``name`` in ``folder`` (None: the current one)."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            if folder is None:
                self._socket.connect(name)
            else:
                connect_in(self._socket, folder, name)
            self._lines = self._socket.makefile("rb")
            self._next()  # its greeting
            self.ask("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def ask(self, command: str, **arguments: object) -> object:
        """Run a command and return its answer. Raises ``Refused``."""
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while "event" in (answer := self._next()):
            pass
        if "return" not in answer:
            raise Refused(str(answer))
        return answer["return"]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict[str, object]:
        line = self._lines.readline(_LINE_BYTES)
        if not line:
            raise ConnectionError("QEMU has closed its monitor")
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError) as failed:
            raise Refused(f"QEMU's monitor said {line!r}") from failed


def connect_in(to: socket.socket, folder: Path, name: str) -> None:
    """Connect by the folder's descriptor: a socket's path has at most 107 bytes."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        to.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)
