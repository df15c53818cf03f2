# SPDX-License-Identifier: GPL-2.0-only
"""The sequential test decides at once what always fails, and takes more runs for the rest."""

from __future__ import annotations

import random

import pytest

from kvm.bisect.confidence import Sequential, error_of_each, runs_to_see
from kvm.bisect.model import Mark


def test_one_run_decides_a_steady_failure() -> None:
    test = Sequential.steady(error_of_each(0.99, 12))
    assert test.decide(0, 0) is None
    assert test.decide(1, 0) is Mark.BAD
    assert test.decide(0, 1) is Mark.GOOD


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_a_rarer_failure_takes_more_passes(rate: float) -> None:
    test = Sequential.measured(rate, error_of_each(0.99, 12))
    needed = test.passes_needed
    assert test.decide(0, needed - 1) is None
    assert test.decide(0, needed) is Mark.GOOD
    assert needed > Sequential.measured(min(2 * rate, 0.9), test.error).passes_needed


def test_it_errs_no_more_often_than_it_says() -> None:
    generator = random.Random(1)
    test = Sequential.measured(0.2, 0.01)
    wrong = 0
    for _ in range(2000):
        bad = good = 0
        while (mark := test.decide(bad, good)) is None:
            fails = generator.random() < 0.2
            bad, good = bad + fails, good + (not fails)
        wrong += mark is not Mark.BAD
    assert wrong <= 2000 * 0.01


def test_runs_that_show_a_rate() -> None:
    assert runs_to_see(0.1, 0.99) == 44
    assert runs_to_see(0.5, 0.9) == 4
