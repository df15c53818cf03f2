# SPDX-License-Identifier: GPL-2.0-only
"""Ports of this machine that lead into a lab host, each for as long as its command lives.

QEMU's user network forwards them, and would as long as it runs. So the keeper (``keeper.py``)
owns its monitor and lends ports to commands over a socket in the lab host's folder: one JSON line
with QEMU's rules, one with the answer. When the connection ends, however its command ended, the
ports are taken back. The keeper's half imports little, because every boot waits for it.
"""

from __future__ import annotations

import json
import select
import socket

from kvm.errors import InfrastructureError
from kvm.host.monitor import Monitor, connect_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOCKET = "forwards.sock"  # both in the lab host's folder
MONITOR = "monitor.sock"
NETDEV = "uplink"

_QUICK_S = 5.0  # a keeper that waits for QEMU can do nothing else
_PATIENT_S = 30.0
_LINE_BYTES = 64 * 1024


class Lease:
    """Forwarding rules, in QEMU's syntax, that hold until this is closed or its process ends."""

    def __init__(self, folder: Path, rules: Sequence[str]) -> None:
        """Raises ``InfrastructureError`` if the lab host is lost or QEMU refuses."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENT_S)
        try:
            connect_in(self._socket, folder, SOCKET)
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
        """The ports are free when this returns; a lab host that is gone has freed them before."""
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
        """Call it in the lab host's folder; descriptors to wait for are added to ``waiting``."""
        self._waiting = waiting
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(SOCKET)
        self._listener.listen()
        self._monitor: Monitor | None = None
        self._leases: dict[int, tuple[socket.socket, list[str]]] = {}
        waiting.register(self._listener.fileno(), select.POLLIN)

    def serve(self, fd: int) -> None:
        """Handle a descriptor that is ready. A failure ends that lease alone."""
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
        """QEMU's reason to refuse the rules; empty when all hold."""
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
        """Run a command of QEMU's human monitor, as QMP has none for this; return its answer."""
        if self._monitor is None:
            self._monitor = Monitor(MONITOR, _QUICK_S)
        try:
            said = self._monitor.ask("human-monitor-command", **{"command-line": command})
            return str(said or "").strip()
        except (OSError, ValueError):
            self._monitor.close()  # a late answer would be taken for the next command's
            self._monitor = None
            raise


def _line(source: socket.socket) -> bytes:
    """The only line that the other end sends. ``OSError``: it hung up before the line's end."""
    data = b""
    while not data.endswith(b"\n"):
        more = source.recv(_LINE_BYTES)
        if not more or len(data) > _LINE_BYTES:
            raise ConnectionError("the other end hung up")
        data += more
    return data
