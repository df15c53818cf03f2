# SPDX-License-Identifier: GPL-2.0-only
"""Ports of this machine that lead into a lab host, each for as long as its command lives.

QEMU's user network forwards them, and would for as long as it runs. So its monitor is the keeper's
(``keeper.py``), which lends ports to commands by connections to a socket in the lab host's folder:
one JSON line with QEMU's rules, one with the answer, and when the connection ends, however its
command ended, they are taken back. The keeper's half imports little, as it is on the way of a boot.
"""

from __future__ import annotations

import json
import os
import select
import socket

from kvm.errors import InfrastructureError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOCKET = "forwards.sock"  # both in the lab host's folder
MONITOR = "monitor.sock"
NETDEV = "uplink"

_QUICK_S = 5.0  # a keeper that waits for QEMU does nothing else
_PATIENT_S = 30.0
_LINE_BYTES = 64 * 1024


class Lease:
    """Rules, in QEMU's words, that hold until this is closed or its process has ended."""

    def __init__(self, folder: Path, rules: Sequence[str]) -> None:
        """Raises ``InfrastructureError`` where the lab host is lost, or QEMU refuses."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENT_S)
        try:
            _connect(self._socket, folder)
            self._socket.sendall(json.dumps(rules).encode() + b"\n")
            answer = json.loads(_line(self._socket))
        except (OSError, ValueError) as failed:
            self._socket.close()
            raise InfrastructureError(
                f"the lab host's keeper does not forward ports: {failed}", "./invoke lab.stop"
            ) from failed
        if answer:
            self.close()
            raise InfrastructureError(f"QEMU does not forward a port: {answer}")

    def close(self) -> None:
        """They are free when this returns; with a lab host that is gone they went before."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(_LINE_BYTES):
                pass
        except OSError:
            pass
        self._socket.close()


class Lender:
    """The keeper's half: owns QEMU's monitor. Called on the keeper's only thread."""

    def __init__(self, waiting: select.poll) -> None:
        """In the lab host's folder; ``waiting`` is told what to wait for."""
        self._waiting = waiting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(SOCKET)
        self._listener.listen()
        self._monitor: _Monitor | None = None
        self._leases: dict[int, tuple[socket.socket, list[str]]] = {}
        waiting.register(self._listener.fileno(), select.POLLIN)

    def serve(self, fd: int) -> None:
        """One of those that were waited for is ready. What fails ends that lease alone."""
        if fd == self._listener.fileno():
            client = self._listener.accept()[0]
            client.settimeout(_QUICK_S)
            self._leases[client.fileno()] = (client, [])
            self._waiting.register(client.fileno(), select.POLLIN)
            return
        if fd not in self._leases:
            return
        client, held = self._leases[fd]
        try:
            line = _line(client)
            client.sendall(json.dumps(self._lend(json.loads(line), held)).encode() + b"\n")
        except (OSError, ValueError, TypeError):
            self._end(fd)

    def _lend(self, rules: list[str], held: list[str]) -> str:
        """What QEMU has against them; empty when all hold."""
        for rule in map(str, rules):
            if refusal := self._tell(f"hostfwd_add {NETDEV} {rule}"):
                return refusal
            held.append(rule.partition("-")[0])
        return ""

    def _end(self, fd: int) -> None:
        client, held = self._leases.pop(fd)
        self._waiting.unregister(fd)
        for port in held:
            try:
                self._tell(f"hostfwd_remove {NETDEV} {port}")
            except (OSError, ValueError):
                break  # QEMU hangs or is gone
        client.close()

    def _tell(self, command: str) -> str:
        """A command of QEMU's human monitor, which has no other for this, and its answer."""
        if self._monitor is None:
            self._monitor = _Monitor()
        try:
            return self._monitor.ask("human-monitor-command", {"command-line": command}).strip()
        except (OSError, ValueError):
            self._monitor.close()  # an answer that comes late would be taken for the next
            self._monitor = None
            raise


class _Monitor:
    """QEMU's, by its protocol (QMP)."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_QUICK_S)
        self._socket.connect(MONITOR)
        self._lines = self._socket.makefile("rb")
        self._next()  # its greeting
        self.ask("qmp_capabilities", {})

    def ask(self, command: str, arguments: dict[str, str]) -> str:
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while "event" in (answer := self._next()):
            pass
        if "return" not in answer:
            raise ValueError(str(answer))
        return str(answer["return"] or "")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict[str, object]:
        return dict(json.loads(self._lines.readline(_LINE_BYTES)))


def _connect(to_keeper: socket.socket, folder: Path) -> None:
    """By the folder's descriptor, whose path is short: a socket's is limited to 107 bytes."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        to_keeper.connect(f"/proc/self/fd/{fd}/{SOCKET}")
    finally:
        os.close(fd)


def _line(source: socket.socket) -> bytes:
    """The only one that the other end sends. ``OSError``: it hung up before the line's end."""
    data = b""
    while not data.endswith(b"\n"):
        more = source.recv(_LINE_BYTES)
        if not more or len(data) > _LINE_BYTES:
            raise ConnectionError("the other end hung up")
        data += more
    return data
