# SPDX-License-Identifier: GPL-2.0-only
"""Converts seconds to places on an axis, to its ticks, and to words."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SHORTEST_S = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """The window ``start_s`` to ``end_s``; never empty."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        return max(self.end_s - self.start_s, _SHORTEST_S)

    def share(self, at_s: float) -> float:
        """The place of a moment, 0 to 1; moments outside the window are put at its edges."""
        return min(max((at_s - self.start_s) / self.seconds, 0.0), 1.0)

    def ticks(self, most: int = 6) -> list[float]:
        """Round moments inside the window, at most ``most``, at equal distances."""
        step = 10.0 ** math.floor(math.log10(self.seconds / most))
        step *= next(f for f in (1, 2, 5, 10, 20) if f * step * most > self.seconds * (1 + 1e-9))
        first = math.ceil(self.start_s / step - 1e-9)
        last = math.floor((self.start_s + self.seconds) / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def words(seconds: float) -> str:
    """``0.04 ms``, ``12.3 ms``, ``1.234 s``: three or four significant digits."""
    size = abs(seconds)
    if size >= 100:
        return f"{seconds:.0f} s"
    if size >= 1:
        return f"{seconds:.{2 if size >= 10 else 3}f} s"
    milliseconds = seconds * 1e3
    return f"{milliseconds:.{0 if size >= 0.1 else 1 if size >= 0.001 else 2}f} ms"


def tick_words(seconds: float, scale: Scale) -> str:
    """A time as short as the distance of ticks allows."""
    if scale.seconds < 2:
        return f"{round(seconds * 1e3, 4):g} ms"
    return f"{round(seconds, 4):g} s"
