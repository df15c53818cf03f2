# SPDX-License-Identifier: GPL-2.0-only
"""The items of a timeline: spans that last, and marks of moments. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """``kind`` is stage, level, initcall, or unfinished: an initcall whose return was not reported.

    ``seconds`` of an unfinished one reach to the last moment of which anything is known.
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
