# SPDX-License-Identifier: GPL-2.0-only
"""The smallest bad set, also if some sets can't tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kvm.bisect.ddmin import minimal
from kvm.bisect.model import Mark

Test = Callable[[Sequence[int]], Mark]


def needing(*elements: int) -> Test:
    return lambda chosen: Mark.BAD if set(elements) <= set(chosen) else Mark.GOOD


@pytest.mark.parametrize("guilty", [(3,), (0, 99), (10, 11, 50), tuple(range(5))])
def test_finds_exactly_what_is_needed(guilty: tuple[int, ...]) -> None:
    assert minimal(range(100), needing(*guilty)) == guilty


def test_sets_that_cannot_tell_are_passed_over() -> None:
    def test(chosen: Sequence[int]) -> Mark:
        if (4 in chosen) != (5 in chosen):
            return Mark.SKIP  # this one needs the other to build
        return Mark.BAD if 5 in chosen else Mark.GOOD

    assert minimal(range(16), test) == (4, 5)


def test_one_difference_is_minimal_already() -> None:
    assert minimal([7], needing(7)) == (7,)


def test_it_tries_few_sets_for_one_culprit() -> None:
    tried = []

    def test(chosen: Sequence[int]) -> Mark:
        tried.append(chosen)
        return Mark.BAD if 600 in chosen else Mark.GOOD

    assert minimal(range(1000), test) == (600,)
    assert len(tried) < 30
