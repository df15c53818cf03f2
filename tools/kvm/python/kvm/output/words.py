# SPDX-License-Identifier: GPL-2.0-only
"""Converts values to words, the same in every form of a report.

Much of a report was written by a guest. ``clean`` is the one place that removes what no output
format can carry, or what makes text look like other text; each renderer then escapes for its own
format.
"""

from __future__ import annotations

import time
import unicodedata

from kvm.verdict.lines import parse_line
from kvm.verdict.vocabulary import Reason, Verdict

SYMBOLS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.FLAKY: "≈",
    Verdict.ERROR: "!",
    Verdict.SKIP: "○",
}
# The worst first, as a reader wants to see them.
WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.FLAKY, Verdict.SKIP, Verdict.PASS)


def clean(text: str) -> str:
    """Text without escape sequences and control characters, except line ends and tabs."""
    if text.isprintable():
        return text
    lines = (parse_line(0, line).text for line in text.split("\n"))
    return "\n".join("".join(map(_visible, line)) for line in lines)


def one_line(text: str, limit: int = 400) -> str:
    """Clean text on one line, at most ``limit`` characters."""
    words = " ".join(clean(text).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _visible(character: str) -> str:
    """The character, or the replacement character for controls, direction marks and half pairs."""
    if character == "\t" or character.isprintable():
        return character
    if unicodedata.category(character) in ("Zs", "Zl", "Zp"):
        return " "
    return "�"


def verdict_words(verdict: Verdict, reason: Reason) -> str:
    if reason in (Reason.OK, Reason.NONE):
        return verdict.value
    return f"{verdict.value} {reason.value}"


def duration(seconds: float) -> str:
    """``0.3 s``, ``42 s``, ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def moment(epoch: float) -> str:
    """A time in UTC, so that reports of several machines agree."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch))


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
