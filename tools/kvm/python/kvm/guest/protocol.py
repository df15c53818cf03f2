# SPDX-License-Identifier: GPL-2.0-only
"""Frames between a guest's init and the VMM worker that owns the machine.

A frame is ``u8 type, u32le length, payload``. The guest sends ``MAGIC`` before its first frame, so
that a host on a serial line can skip earlier output of firmware or a kernel; it may repeat
``MAGIC`` between frames, where it is ignored. The host sends only after it has seen HELLO. Pure
functions and one decoder: no I/O.
The other end is ``tools/kvm/guest/frames.c``.

It uses named tuples, not dataclasses: the worker imports it, where Python's start-up time matters.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

PORT_NAME = "org.toolskvm.agent"
PROTOCOL_VERSION = 1
MAGIC = b"\0TKVM\x01\r\n"
MAX_PAYLOAD = 64 * 1024

_HEADER = struct.Struct("<BI")
_RUN = struct.Struct("<IHHI")
_EXIT = struct.Struct("<ii")
_WINSIZE = struct.Struct("<HH")
_RUN_TTY = 1 << 0
_RUN_COUNT_INPUT = 1 << 1
_RUN_STAY = 1 << 2
_COUNT = struct.Struct("<Q")


class FrameType(IntEnum):
    """Types below 16 are the guest's, those from 16 on the host's.

    The guest waits 60 s for RUN, serves one, and resets the machine after EXIT. It gives the host
    3 s to answer EXIT with POWEROFF, which confirms that EXIT has arrived. A RUN that says so lets
    it wait for the next RUN instead, however long that takes.
    """

    # "key=value\n": protocol, release, cpus, mem_kib, uptime_ns, transport, lacking, missing
    HELLO = 1
    STDOUT = 2  # bytes; on a tty, stderr too
    STDERR = 3  # bytes
    EXIT = 4  # i32le code, i32le signal
    ERROR = 5  # text: init could not do its work
    HEARTBEAT = 6  # empty, each second while the command runs and while pages are written after it
    STDIN_READ = 7  # u64le: how much the command had read, before EXIT, if RUN asks for it
    RUN = 16  # see encode_run()
    STDIN = 17  # bytes
    STDIN_EOF = 18  # empty
    WINSIZE = 19  # u16le rows, u16le columns
    POWEROFF = 20  # empty: end now
    SIGNAL = 21  # i32le, to the command's process group
    SYSRQ = 22  # one character, to the kernel
    FRESH = 23  # see encode_fresh()


_KNOWN = frozenset(int(member) for member in FrameType)


class Frame(NamedTuple):
    """One message, header removed."""

    type: FrameType
    payload: bytes


class ExitStatus(NamedTuple):
    """How the guest's command ended; ``code`` is 128 + ``signal`` if a signal ended it."""

    code: int
    signal: int


def encode(frame_type: FrameType, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{frame_type.name} payload is {len(payload)} bytes, over {MAX_PAYLOAD}")
    return _HEADER.pack(frame_type, len(payload)) + payload


def encode_run(
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    tty: bool = False,
    rows: int = 24,
    cols: int = 80,
    *,
    count_input: bool = False,
    stay: bool = False,
) -> bytes:
    """RUN: flags, rows, cols, argc, then argv and ``K=V`` strings, each NUL-terminated."""
    if not argv or not argv[0]:
        raise ValueError("the guest needs a command to run")
    words = [*argv, *(f"{name}={value}" for name, value in (env or {}).items())]
    for word in words:
        if "\0" in word:
            raise ValueError(f"a command word or variable holds a NUL: {word!r}")
    flags = _RUN_TTY * tty | _RUN_COUNT_INPUT * count_input | _RUN_STAY * stay
    head = _RUN.pack(flags, rows, cols, len(argv))
    strings = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
    return encode(FrameType.RUN, head + strings)


def encode_stdin(data: bytes) -> bytes:
    """As many STDIN frames as ``data`` needs; none if it is empty."""
    return b"".join(
        encode(FrameType.STDIN, data[at : at + MAX_PAYLOAD])
        for at in range(0, len(data), MAX_PAYLOAD)
    )


def encode_winsize(rows: int, cols: int) -> bytes:
    return encode(FrameType.WINSIZE, _WINSIZE.pack(rows, cols))


def encode_signal(number: int) -> bytes:
    return encode(FrameType.SIGNAL, struct.pack("<i", number))


def encode_fresh(time_ns: int, random: bytes) -> bytes:
    """FRESH: u64le nanoseconds of the clock, then bytes for the kernel's random numbers.

    For a guest that goes on from a saved machine, so that it is no twin of others that do.
    """
    return encode(FrameType.FRESH, _COUNT.pack(time_ns) + random)


def parse_hello(payload: bytes) -> dict[str, str]:
    """HELLO's ``key=value`` lines; lines without ``=`` are left out."""
    pairs = (line.partition("=") for line in payload.decode("utf-8", "replace").splitlines())
    return {key: value for key, separator, value in pairs if separator}


def decode_exit(payload: bytes) -> ExitStatus:
    """EXIT's code and signal. Raises ``ValueError`` if the payload has another size."""
    if len(payload) != _EXIT.size:
        raise ValueError(f"EXIT payload is {len(payload)} bytes, not {_EXIT.size}")
    return ExitStatus(*_EXIT.unpack(payload))


def decode_count(payload: bytes) -> int | None:
    """STDIN_READ's number; None if the payload has another size."""
    return int(_COUNT.unpack(payload)[0]) if len(payload) == _COUNT.size else None


class FrameDecoder:
    """Splits a byte stream into frames. Guest input is hostile: it never raises.

    Everything before ``MAGIC`` is skipped. An impossible header (unknown type, length over
    ``MAX_PAYLOAD``) yields an ERROR frame made here, which describes it, and the search for
    ``MAGIC`` starts again after that header.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._synchronised = False
        self.skipped = 0  # bytes that belonged to no frame

    @property
    def synchronised(self) -> bool:
        return self._synchronised

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes, in order."""
        self._buffer += data
        frames: list[Frame] = []
        while (self._synchronised or self._find_magic()) and self._take(frames):
            pass
        return frames

    def _find_magic(self) -> bool:
        at = self._buffer.find(MAGIC)
        if at >= 0:
            self._drop(at)
            del self._buffer[: len(MAGIC)]
            self._synchronised = True
            return True
        self._drop(max(0, len(self._buffer) - len(MAGIC) + 1))
        return False

    def _take(self, frames: list[Frame]) -> bool:
        """Move one frame (or a repeated MAGIC) out of the buffer; False if it needs more data."""
        if self._buffer[: len(MAGIC)] == MAGIC:
            del self._buffer[: len(MAGIC)]
            return True
        if self._buffer and MAGIC.startswith(self._buffer):
            return False
        if len(self._buffer) < _HEADER.size:
            return False
        number, length = _HEADER.unpack_from(self._buffer)
        if number not in _KNOWN or length > MAX_PAYLOAD:
            self._drop(_HEADER.size)
            self._synchronised = False
            text = f"the guest's agent stream is corrupt: frame type {number}, length {length}"
            frames.append(Frame(FrameType.ERROR, text.encode()))
            return True
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return False
        frames.append(Frame(FrameType(number), bytes(self._buffer[_HEADER.size : end])))
        del self._buffer[:end]
        return True

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self.skipped += count
