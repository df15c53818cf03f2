# SPDX-License-Identifier: GPL-2.0-only
"""The display's port: viewers connect here, wherever the machine's VNC server runs.

    --vnc auto                              a Unix socket that only this user may connect to
    --vnc [ADDRESS:]PORT[,password=FILE]    TCP; PORT may be auto for a free one

By TCP any computer that reaches the port may try, so there is a password: the first line of
FILE, or a generated one that is printed. ``password=none`` does without.
Bytes go both ways as messages of the worker's protocol. This module does not interpret VNC.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import secrets
import socket
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from kvm.errors import UserError
from kvm.run import private_socket
from kvm.waiting import write_waiting

_READ_BYTES = 64 * 1024
# A viewer with this much unread data is taken to have stopped.
_WAITING_BYTES = 32 << 20
# The same number as in the VMM's server (display/vnc_server.hpp).
MAX_VIEWERS = 16
# A viewer must have sent this much, its version and what follows (RFC 6143, 7), in this time.
_GREETING_BYTES = 14
GREETING_S = 30.0
_BACKLOG = 16
_HOST = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?P<host>[^:\[\]]+|\[[0-9a-fA-F:.]+\]):)?(?P<port>\d+|auto)")
_PASSWORD_CHARACTERS = 8  # VNC ignores the rest
_ALPHABET = string.ascii_letters + string.digits
_MADE_UP, _NO_PASSWORD = "", "none"


class Address(NamedTuple):
    """Where to listen by TCP; port 0 is any free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Entrance:
    """The value of ``--vnc``: a Unix socket if ``address`` is None. ``password`` is a file's path,
    empty for a generated one, or "none"."""

    address: Address | None = None
    password: str = _NO_PASSWORD


def parse_entrance(text: str) -> Entrance:
    """Parse the value of ``--vnc``. Raises ``UserError``."""
    where, *words = text.split(",")
    hint = "write auto, PORT or HOST:PORT[,password=FILE]; viewers' first is 5900"
    matched = _ADDRESS.fullmatch(where)
    port = matched["port"] if matched else ""
    number = 0 if port == "auto" else int(port or -1)
    if matched is None or not 0 <= number <= 65535:
        raise UserError(f"--vnc {text}", hint)
    password = _MADE_UP
    for word in words:
        key, _, password = word.partition("=")
        if key != "password" or not password or len(words) > 1:
            raise UserError(f"--vnc {text}: unknown word {word!r}", hint)
    if where == "auto":
        if words:
            raise UserError(
                f"--vnc {text}: a Unix socket has no password, its file is this user's",
                "leave the password out, or write 127.0.0.1:auto",
            )
        return Entrance()
    return Entrance(Address((matched["host"] or _HOST).strip("[]"), number), password)


def read_password(path: Path) -> str:
    """The file's first line. Raises ``UserError`` unless it is private and usable for VNC."""
    try:
        if path.stat().st_mode & 0o077:
            raise UserError(
                f"--vnc password={path} is a file that others can read", f"chmod 600 {path}"
            )
        password = (path.read_text().splitlines() or [""])[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--vnc password={path}: {error}", "name a file with a password") from error
    if not 1 <= len(password.encode()) <= _PASSWORD_CHARACTERS:
        raise UserError(
            f"--vnc password={path}: {len(password.encode())} bytes",
            f"VNC knows passwords of 1 to {_PASSWORD_CHARACTERS}",
        )
    return password


class _Viewer:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.waiting = bytearray()
        self.since = time.monotonic()
        self.heard_bytes = 0

    @property
    def in_time(self) -> bool:
        return self.heard_bytes >= _GREETING_BYTES or time.monotonic() < self.since + GREETING_S


class VncPort:
    """Listens from entry to exit, unless ``entrance`` is None."""

    def __init__(self, entrance: Entrance | None) -> None:
        self._entrance = entrance
        self._listening = contextlib.ExitStack()
        self._socket: socket.socket | None = None
        self._numbers = itertools.count(1)
        self._viewers: dict[int, _Viewer] = {}
        self.place = ""
        """``HOST:PORT`` or a path, as viewers want it; empty without one."""
        self.password = ""
        """What the machine's server is to ask for; empty: nothing."""

    def notes(self) -> tuple[str, ...]:
        """Notes for the user: where viewers find the display, and who else may connect."""
        if self._entrance is None:
            return ()
        address = self._entrance.address
        if address is None:
            return (f"the display is at {self.place} (VNC): vncviewer {self.place}",)
        secret = {
            _MADE_UP: f"its password is {self.password}",
            _NO_PASSWORD: "it asks for no password",
        }.get(self._entrance.password, f"its password is in {self._entrance.password}")
        told = f"the display is at {self.place} (VNC); {secret}"
        if ip_address(self.place.rpartition(":")[0].strip("[]")).is_loopback:
            return (told,)
        return (told, "other machines reach it, and VNC hides nothing on its way: a tunnel does")

    def __enter__(self) -> VncPort:
        if self._entrance is None:
            return self
        address = self._entrance.address
        if address is None:
            path = self._listening.enter_context(private_socket.place("display"))
            self._socket = self._listening.enter_context(private_socket.listen(path, _BACKLOG))
            self.place = str(path)
        else:
            self.password = self._choose_password()
            self._socket = self._listening.enter_context(_listen(address))
            host, port = self._socket.getsockname()[:2]
            self.place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
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
        self._listening.close()

    def poll(self) -> list[dict[str, Any]]:
        """Input from viewers since the last call, as messages for the worker."""
        messages: list[dict[str, Any]] = []
        while (viewer := self._accept()) is not None:
            if len(self._viewers) >= MAX_VIEWERS:
                viewer.connection.close()
                continue
            number = next(self._numbers)
            self._viewers[number] = viewer
            messages.append({"viewer": number, "open": True})
        for number in tuple(self._viewers):
            self._write(number)
            messages += self._read(number)
        return messages

    def take(self, event: Mapping[str, Any]) -> None:
        """Take a ``viewer`` event of the worker."""
        number = int(event["viewer"])
        viewer = self._viewers.get(number)
        if viewer is None:
            return  # it has gone, and the worker will be notified
        if event.get("closed"):
            self._write(number)
            self._drop(number)
            return
        viewer.waiting += base64.b64decode(event["data"])
        self._write(number)

    def _choose_password(self) -> str:
        assert self._entrance is not None
        if self._entrance.password == _NO_PASSWORD:
            return ""
        if self._entrance.password == _MADE_UP:
            return "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_CHARACTERS))
        return read_password(Path(self._entrance.password))

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
        if viewer is None or len(viewer.waiting) > _WAITING_BYTES or not viewer.in_time:
            self._drop(number)
            return [{"viewer": number, "close": True}]
        try:
            data = viewer.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        viewer.heard_bytes += len(data)
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


def _listen(address: Address) -> socket.socket:
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UserError(
            f"--vnc {host}:{port}: {error.strerror or error}",
            "use another port, or auto for a free one",
        ) from error
