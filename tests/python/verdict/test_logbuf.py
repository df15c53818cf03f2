# SPDX-License-Identifier: GPL-2.0-only
"""Reading a raw printk ring, made here as kernel/printk/printk_ringbuffer.c makes it."""

from __future__ import annotations

import random
import struct

from kvm.verdict.console import parse_console
from kvm.verdict.logbuf import printk_text
from kvm.verdict.vocabulary import Reason

_ID_MASK = (1 << 62) - 1


class Ring:
    """A writer of the text data ring."""

    def __init__(self, size: int = 4096, fill: int = 0) -> None:
        self.data = bytearray([fill]) * size
        self.head = 0
        self.id = (-(size // 32 + 1)) & _ID_MASK

    def print(self, text: str, level: str = "") -> None:
        self.id = (self.id + 1) & _ID_MASK
        prefix = f"\x01{level}" if level else ""
        formatted = f"{prefix}{text}\n".encode() + b"\0"
        # memmove over the prefix leaves the tail of the formatted text in place
        body = text.encode() + formatted[len(text.encode()) :]
        size = (8 + len(formatted) + 7) // 8 * 8
        if self.head % len(self.data) + size > len(self.data):
            self._put(self.head % len(self.data), b"")
            self.head += len(self.data) - self.head % len(self.data)
        self._put(self.head % len(self.data), body)
        self.head += size

    def _put(self, at: int, body: bytes) -> None:
        block = struct.pack("<Q", self.id) + body
        self.data[at : at + len(block)] = block


def test_messages_come_out_in_order_without_leftovers_of_their_level() -> None:
    ring = Ring()
    ring.print("Linux version 6.12.117", "5")
    ring.print("Command line: quiet")
    ring.print("no level, odd length..", "")
    assert printk_text(bytes(ring.data)).splitlines() == [
        "Linux version 6.12.117",
        "Command line: quiet",
        "no level, odd length..",
    ]


def test_ring_that_wrapped_starts_with_its_oldest_whole_message() -> None:
    ring = Ring(fill=0xAA)
    for number in range(1000):
        ring.print(f"message number {number} {'x' * (number % 23)}!", "6")
    numbers = [int(line.split()[2]) for line in printk_text(bytes(ring.data)).splitlines()]
    assert numbers == list(range(numbers[0], 1000))
    assert len(numbers) > 50


def test_multi_line_and_continued_records() -> None:
    ring = Ring()
    ring.print("first\nsecond", "4")
    ring.print("third\n\x01c", "")
    assert printk_text(bytes(ring.data)).splitlines() == ["first", "second", "third"]


def test_report_in_the_ring_is_found_by_the_console_parser() -> None:
    ring = Ring()
    ring.print("------------[ cut here ]------------", "4")
    ring.print("WARNING: CPU: 0 PID: 1 at kernel/foo.c:12 foo+0x10/0x20", "4")
    ring.print("---[ end trace 0000000000000000 ]---", "4")
    (found,) = parse_console(printk_text(bytes(ring.data)))
    assert found.reason is Reason.KERNEL_WARNING
    assert found.title == "WARNING at kernel/foo.c:12 foo"
    assert len(found.lines) == 3


def test_garbage_is_no_text_and_never_raises() -> None:
    chance = random.Random(7)
    for size in (0, 1, 7, 8, 15, 16, 4096, 5000):
        assert isinstance(printk_text(chance.randbytes(size)), str)
        assert printk_text(bytes(size)) == ""
        assert isinstance(printk_text(b"\xff" * size), str)


def test_ring_overwritten_anywhere_never_raises() -> None:
    ring = Ring()
    for number in range(100):
        ring.print(f"message {number}", "6")
    chance = random.Random(11)
    for _ in range(200):
        data = bytearray(ring.data)
        at = chance.randrange(len(data) - 64)
        data[at : at + 64] = chance.randbytes(64)
        assert isinstance(printk_text(bytes(data)), str)
