# SPDX-License-Identifier: GPL-2.0-only
"""Disk content that shows where it belongs."""

from __future__ import annotations

from kvm.matrix.pattern import SECTOR, describe, pattern, sector_of, wrong_sectors


def test_no_two_sectors_and_no_two_words_are_alike() -> None:
    content = pattern(3, 0, 256 * SECTOR)
    words = {content[at : at + 8] for at in range(0, len(content), 8)}
    assert len(words) == len(content) // 8
    assert pattern(3, SECTOR * 7, SECTOR) == sector_of(3, 7) != sector_of(4, 7)


def test_wrong_sectors_are_counted_from_the_disks_beginning() -> None:
    content = bytearray(pattern(3, 16 * SECTOR, 8 * SECTOR))
    content[2 * SECTOR] ^= 1
    assert list(wrong_sectors(bytes(content), 3, 16 * SECTOR)) == [18]
    assert describe(bytes(content), 3, 16 * SECTOR)[0] is False


def test_nothing_is_not_right() -> None:
    assert describe(b"", 3) == (False, "all 0 sectors are right (seed 3)")
