# SPDX-License-Identifier: GPL-2.0-only
"""Disk content that shows where it belongs, the same as ``guest/exercise/pattern.c`` makes.

Sectors of 512 bytes are made from a seed and the sector's number, so that this side of the VMM can
also check what a guest wrote. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

SECTOR = 512
_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """A well mixed 64-bit number (splitmix64's finaliser)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31


# One word for each place in a sector; a sector's own key is XORed over all of them.
_PLACES = int.from_bytes(
    b"".join(mix(place).to_bytes(8, "little") for place in range(SECTOR // 8)), "little"
)
_EVERYWHERE = int.from_bytes((1).to_bytes(8, "little") * (SECTOR // 8), "little")


def sector_of(seed: int, sector: int) -> bytes:
    key = mix(mix(seed & _MASK) ^ sector)
    return (key * _EVERYWHERE ^ _PLACES).to_bytes(SECTOR, "little")


def pattern(seed: int, offset: int, length: int) -> bytes:
    """``length`` bytes from byte ``offset`` on; both are multiples of the sector size."""
    first = offset // SECTOR
    return b"".join(sector_of(seed, first + at) for at in range(length // SECTOR))


def wrong_sectors(content: bytes, seed: int, offset: int = 0) -> Iterator[int]:
    """The numbers of the sectors of ``content`` that do not match the pattern."""
    first = offset // SECTOR
    for at in range(len(content) // SECTOR):
        if content[at * SECTOR : (at + 1) * SECTOR] != sector_of(seed, first + at):
            yield first + at


def describe(content: bytes, seed: int, offset: int = 0) -> tuple[bool, str]:
    """Whether all of it matches the pattern, and a description."""
    wrong = list(wrong_sectors(content, seed, offset))
    total = len(content) // SECTOR
    if not wrong:
        return total > 0, f"all {total} sectors are right (seed {seed})"
    shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
    return False, f"{len(wrong)} of {total} sectors are wrong (seed {seed}): {shown}"
