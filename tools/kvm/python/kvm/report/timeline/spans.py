# SPDX-License-Identifier: GPL-2.0-only
"""What a timeline is made of: things that last, and things that happen. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """``kind`` is stage, level, initcall, or unfinished: an initcall whose return was not told.

    ``seconds`` of an unfinished one reach to the last moment that anything is known of.
    """

    name: str
    start_s: float
    seconds: float
    kind: str
    note: str = ""

    @property
    def end_s(self) -> float:
        return self.start_s + self.seconds


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment. ``kind``: init (a program's exec), mark, warn, oops or panic."""

    name: str
    at_s: float
    kind: str
