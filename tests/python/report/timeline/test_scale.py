# SPDX-License-Identifier: GPL-2.0-only
"""Readable ticks, and seconds in words."""

from __future__ import annotations

import math

import pytest

from kvm.report.timeline.scale import Scale, tick_words, words


@pytest.mark.parametrize("start_s", [0.0, -1.37, 0.0512])
@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.0123, 0.1, 0.35, 1.0, 7.5, 61.0, 4e4, 86_400.0])
def test_ticks_are_few_round_and_inside(start_s: float, seconds: float) -> None:
    scale = Scale(start_s, start_s + seconds)
    ticks = scale.ticks()
    assert len(ticks) <= 6
    assert all(scale.start_s - 1e-9 <= at <= scale.start_s + scale.seconds + 1e-9 for at in ticks)
    if seconds >= 0.01:
        assert len(ticks) >= 2
        step = ticks[1] - ticks[0]
        digit = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert round(digit, 6) in (1, 2, 5)
        assert len({tick_words(at, scale) for at in ticks}) == len(ticks)


def test_shares_end_at_the_window() -> None:
    scale = Scale(1.0, 3.0)
    assert [scale.share(at) for at in (-9.0, 1.0, 2.0, 3.0, 1e9)] == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_seconds_in_words() -> None:
    seconds = (0.0, 0.00004, 0.0123, 0.25, 1.2345, 12.5, 300.4, -0.002)
    assert [words(s) for s in seconds] == [
        "0.00 ms",
        "0.04 ms",
        "12.3 ms",
        "250 ms",
        "1.234 s",
        "12.50 s",
        "300 s",
        "-2.0 ms",
    ]
