# SPDX-License-Identifier: GPL-2.0-only
"""A VNC viewer of a few lines (RFC 6143): raw pixels, keys and a pointer."""

from __future__ import annotations

import ctypes
import socket
import struct
from types import TracebackType

_TIMEOUT_S = 30.0
_BY_NOTHING, _BY_PASSWORD = b"\x01", b"\x02"
_RAW = struct.pack(">BxHi", 2, 1, 0)


class Viewer:
    """Connected between entry and exit; ``pixels`` has what it received, row by row."""

    def __init__(self, place: str, password: str = "") -> None:
        self._socket = _connect(place)
        self.version = self._read(12)
        self._socket.sendall(self.version)
        (kinds,) = self._read(1)
        assert self._read(kinds) == (_BY_PASSWORD if password else _BY_NOTHING)
        self._socket.sendall(_BY_PASSWORD if password else _BY_NOTHING)
        if password:
            self._socket.sendall(_encrypted(self._read(16), password))
        if self._read(4) != bytes(4):
            raise PermissionError("the server does not take the password")
        self._socket.sendall(b"\x01")
        self.width, self.height, self.pixel_format, length = struct.unpack(
            ">HH16sI", self._read(24)
        )
        self.title = self._read(length).decode()
        self.pixels = bytearray(self.width * self.height * 4)
        self._socket.sendall(_RAW)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def look(self, *, incremental: bool = False) -> None:
        """Request an update of the whole screen, and take it."""
        self._socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        kind, rectangles = struct.unpack(">BxH", self._read(4))
        assert kind == 0
        for _ in range(rectangles):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            assert encoding == 0
            for row in range(y, y + height):
                at = (row * self.width + x) * 4
                self.pixels[at : at + 4 * width] = self._read(4 * width)

    def key(self, keysym: int, *, down: bool) -> None:
        self._socket.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def point(self, x: int, y: int, buttons: int = 0) -> None:
        self._socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def row(self, number: int) -> bytes:
        return bytes(self.pixels[number * self.width * 4 : (number + 1) * self.width * 4])

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "the server has gone"
            data += part
        return bytes(data)


def _connect(place: str) -> socket.socket:
    if not place.startswith("/"):
        host, _, port = place.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_TIMEOUT_S)
    connection.connect(place)
    return connection


def _encrypted(challenge: bytes, password: str) -> bytes:
    """The answer (7.2.2): DES, which Python's library lacks and the VNC server's library has."""
    data = ctypes.create_string_buffer(challenge, len(challenge))
    ctypes.CDLL("libvncserver.so.1").rfbEncryptBytes(data, password.encode())
    return data.raw


def pattern_row(y: int, width: int) -> bytes:
    """The row that ``exercise screen`` draws, as raw pixels."""
    return struct.pack(
        f"<{width}I", *((x * 0x010203 + y * 0x030201) & 0xFFFFFF for x in range(width))
    )
