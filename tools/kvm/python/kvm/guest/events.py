# SPDX-License-Identifier: GPL-2.0-only
"""Events of a guest's kernel: decodes the VMM's binary records.

A record is ``GuestEvents::Record`` (tools/kvm/src/devices/guest_events.hpp), with its number of
``struct kvm_guest_event`` (the tree's arch/x86/include/uapi/asm/kvm_para.h); all little endian.
Everything in an event comes from the guest: names are made printable here, nothing else is checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_RECORD = struct.Struct("<QQQII")
_EVENT = struct.Struct("<QIi48s")
_KINDS = {
    1: "level",
    2: "initcall_start",
    3: "initcall_finish",
    4: "init",
    5: "warn",
    6: "oops",
    7: "panic",
    8: "mark",
}


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """``time_ns`` is by the guest's ``sched_clock()``. ``kind``: level, initcall_start,
    initcall_finish, init, warn, oops, panic, mark or unknown."""

    time_ns: int
    kind: str
    value: int
    name: str


@dataclass(frozen=True, slots=True)
class Batch:
    """``received_ns`` is CLOCK_MONOTONIC of the VMM's host, ``sent_ns`` the guest's clock then;
    0: the guest had not sent them. ``lost`` counts events that the guest had no room for so far,
    ``refused`` those that the VMM did not take."""

    received_ns: int
    sent_ns: int
    lost: int
    refused: int
    events: tuple[GuestEvent, ...]


class EventDecoder:
    """Converts bytes to complete batches."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Batch]:
        """Yield every batch that ``data`` completes."""
        self._bytes += data
        while len(self._bytes) >= _RECORD.size:
            received, sent, lost, count, refused = _RECORD.unpack_from(self._bytes)
            end = _RECORD.size + count * _EVENT.size
            if len(self._bytes) < end:
                return
            raw = bytes(self._bytes[_RECORD.size : end])
            del self._bytes[:end]
            yield Batch(received, sent, lost, refused, tuple(map(_event, _EVENT.iter_unpack(raw))))


def _event(fields: tuple[int, int, int, bytes]) -> GuestEvent:
    time_ns, kind, value, name = fields
    text = name.partition(b"\0")[0].decode("ascii", "replace").replace("\n", " ").strip()
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return GuestEvent(time_ns, _KINDS.get(kind, "unknown"), value, printable)
