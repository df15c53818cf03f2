# SPDX-License-Identifier: GPL-2.0-only
"""The display's port: viewers connect here, and the machine's VNC server is wherever the VMM is.

Bytes go both ways as messages of the worker's protocol. Nothing of VNC is understood here.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from kvm.errors import UserError
from kvm.waiting import write_waiting

_READ_BYTES = 64 * 1024
# A viewer that has not read this much is one that has stopped.
_WAITING_BYTES = 32 << 20
_BACKLOG = 16
_HOST = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?P<host>[^:\[\]]+|\[[0-9a-fA-F:.]+\]):)?(?P<port>\d+|auto)")


class Address(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """``[HOST:]PORT``, the port ``auto`` for a free one. Raises ``UserError``."""
    matched = _ADDRESS.fullmatch(text)
    port = matched["port"] if matched else ""
    number = 0 if port == "auto" else int(port or -1)
    if matched is None or not 0 <= number <= 65535:
        raise UserError(f"--vnc {text}", "write PORT, HOST:PORT or auto; viewers' first is 5900")
    return Address((matched["host"] or _HOST).strip("[]"), number)


class _Viewer:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waiting = bytearray()


class VncPort:
    """Listens from entry to exit, unless ``address`` is None."""

    def __init__(self, address: Address | None) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._numbers = itertools.count(1)
        self._viewers: dict[int, _Viewer] = {}

    @property
    def place(self) -> str:
        """``HOST:PORT`` as viewers want it; empty without one."""
        if self._socket is None:
            return ""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> VncPort:
        if self._address is None:
            return self
        host, port = self._address
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise UserError(
                f"--vnc {host}:{port}: {error.strerror or error}",
                "use another port, or auto for a free one",
            ) from error
        self._socket.setblocking(False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in tuple(self._viewers):
            self._drop(number)
        if self._socket is not None:
            self._socket.close()

    def poll(self) -> list[dict[str, Any]]:
        """What viewers have done since, as messages for the worker."""
        messages: list[dict[str, Any]] = []
        while (viewer := self._accept()) is not None:
            number = next(self._numbers)
            self._viewers[number] = viewer
            messages.append({"viewer": number, "open": True})
        for number in tuple(self._viewers):
            self._write(number)
            messages += self._read(number)
        return messages

    def take(self, event: Mapping[str, Any]) -> None:
        """A ``viewer`` event of the worker's."""
        number = int(event["viewer"])
        viewer = self._viewers.get(number)
        if viewer is None:
            return  # it has gone, and the worker will hear of it
        if event.get("closed"):
            self._write(number)
            self._drop(number)
            return
        viewer.waiting += base64.b64decode(event["data"])
        self._write(number)

    def _accept(self) -> _Viewer | None:
        if self._socket is None:
            return None
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return None
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Viewer(connection)

    def _read(self, number: int) -> list[dict[str, Any]]:
        viewer = self._viewers.get(number)
        if viewer is None or len(viewer.waiting) > _WAITING_BYTES:
            self._drop(number)
            return [{"viewer": number, "close": True}]
        try:
            data = viewer.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if data:
            return [{"viewer": number, "data": base64.b64encode(data).decode()}]
        self._drop(number)
        return [{"viewer": number, "close": True}]

    def _write(self, number: int) -> None:
        viewer = self._viewers[number]
        try:
            write_waiting(viewer.connection.fileno(), viewer.waiting)
        except OSError:
            self._drop(number)

    def _drop(self, number: int) -> None:
        viewer = self._viewers.pop(number, None)
        if viewer is not None:
            viewer.connection.close()
