# SPDX-License-Identifier: GPL-2.0-only
"""Guest text is made harmless for its reader, and values become words."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from kvm.output.words import clean, duration, moment, one_line, plural


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain äöü ✓", "plain äöü ✓"),
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("bell\x07 back\x08space nul\0", "bell backspace nul"),
        ("one\ttab\ntwo", "one\ttab\ntwo"),
        ("right\u202eleft", "right\ufffdleft"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("no\u00a0break", "no break"),
        ("next\u0085line", "next\ufffdline"),
    ],
)
def test_text_keeps_only_what_can_be_seen(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_any_clean_text_is_xml_and_utf_8() -> None:
    text = clean("".join(map(chr, [*range(0x300), *range(0x2000, 0x2070), 0xD800, 0xFFFE])))
    element = ET.Element("x")
    element.text = text
    ET.fromstring(ET.tostring(element, encoding="utf-8"))


def test_one_line_is_one_and_bounded() -> None:
    assert one_line("a\n b\tc\r\nd") == "a b c d"
    assert one_line("x" * 50, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.26, "0.3 s"), (42.4, "42 s"), (185, "3 min 05 s")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_moments_are_utc() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"


def test_one_is_singular() -> None:
    assert [plural(n, "cell") for n in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]
