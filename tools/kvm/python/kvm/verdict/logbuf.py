# SPDX-License-Identifier: GPL-2.0-only
"""Reads messages from a raw dump of the kernel's ``__log_buf``.

A guest that dies before its console works, or that runs ``quiet``, still has its messages in the
printk ring. The VMM dumps the text data ring at stop; this module finds the records in it without
their descriptors.

Format (kernel/printk/printk_ringbuffer.c): blocks of a 64-bit descriptor id and text, aligned
to 8. Ids count up modulo 2^62, starting shortly below 2^62. A block that would exceed the end
leaves only its id there and starts again at offset 0, so there is always a block at offset 0.
The dump is a snapshot of a running machine: anything may be half written, and nothing here may
raise.
"""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import dataclass

_ID_BITS = 62
_ID_MASK = (1 << _ID_BITS) - 1
_WORD = 8
# Records alive at once: log_buf / 32 bytes (PRB_AVGBITS); 2^16 of them is a 2 MiB buffer.
_MAX_DISTANCE = 1 << 16
_MAX_RECORDS = 1 << 32
_LEVEL = re.compile(rb"\x01[0-7c]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Block:
    offset: int
    id: int
    text: bytes


def printk_text(log_buf: bytes) -> str:
    """The messages of the ring, oldest first, one or more lines each; "" if there are none."""
    blocks = _blocks(log_buf)
    if not blocks:
        return ""
    # A record that wrapped has its id at both ends and its text at the start.
    if len(blocks) > 1 and blocks[-1].id == blocks[0].id:
        blocks.pop()
    origin = blocks[0].id
    blocks.sort(key=lambda block: (_distance(origin, block.id), block.offset))
    lines = (_message(block.text) for block in blocks)
    return "".join(f"{line}\n" for line in lines if line.strip())


def _blocks(log_buf: bytes) -> list[_Block]:
    """Follow the blocks from offset 0; each next one starts at the next word that is a near id."""
    count = len(log_buf) // _WORD
    if count < 2:
        return []
    words = struct.unpack_from(f"<{count}Q", log_buf)
    starts = [0]
    last = words[0]
    if not -_MAX_DISTANCE <= _distance(0, last) < _MAX_RECORDS or last > _ID_MASK:
        return []
    for index in range(1, count):
        word = words[index]
        # A zero word is nearly always padding or unused ring; id 0 occurs once, after 2^62 - 1.
        expected = (last + 1) & _ID_MASK
        if (word == expected) or (word != 0 and _is_near(last, word)):
            starts.append(index)
            last = word
    starts.append(count)
    return [
        _Block(at * _WORD, words[at], log_buf[(at + 1) * _WORD : end * _WORD])
        for at, end in itertools.pairwise(starts)
    ]


def _distance(origin: int, other: int) -> int:
    """Signed difference of two ids in their modular space."""
    ahead = (other - origin) & _ID_MASK
    return ahead - (1 << _ID_BITS) if ahead >> (_ID_BITS - 1) else ahead


def _is_near(origin: int, word: int) -> bool:
    return word <= _ID_MASK and abs(_distance(origin, word)) <= _MAX_DISTANCE


def _message(raw: bytes) -> str:
    """Cut a block's bytes to the message.

    printk_sprint() formats in place, drops the newline only from the length, and moves the text
    down over its two-byte level prefix ("\\0014"): the newline, and a second copy of the last two
    characters, are still behind the text.
    """
    text = _LEVEL.sub(b"", raw.split(b"\0", 1)[0]).rstrip(b"\n")
    if len(text) >= 4 and text[-2:] == text[-4:-2]:
        text = text[:-2]
    return _UNPRINTABLE.sub("", text.decode(errors="replace"))
