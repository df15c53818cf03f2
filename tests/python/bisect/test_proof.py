# SPDX-License-Identifier: GPL-2.0-only
"""Bisections of intermittent failures are as reliable as they claim, whatever the rate.

The search is simulated: 64 commits with the real ends, judge and proof, and a test that shows the
failure by chance.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from kvm.bisect import ends, proof
from kvm.bisect.confidence import error_of_each, passes_that_prove
from kvm.bisect.decide import Judge
from kvm.bisect.ends import Wanted
from kvm.bisect.journal import Journal
from kvm.bisect.model import Mark, Run
from kvm.bisect.subject import Built
from kvm.verdict.vocabulary import Reason, Verdict

_COMMITS = 64
_CONFIDENCE = 0.99
_TRIALS = 300
_ANSWERS = 14  # the number that hunt.py assumes for as many commits

PASS = Run(Verdict.PASS, Reason.OK, "")
FAIL = Run(Verdict.FAIL, Reason.HANG, "silent", "silent")


class _Memory(Journal):
    """A journal that writes nothing."""

    def add_run(self, key: str, run: Run) -> None:
        self.runs.setdefault(key, []).append(run)


@dataclass
class _History:
    first_bad: int
    rate: float
    chance: random.Random
    runs: int = 0

    def at(self, number: int) -> Built:
        def run() -> Run:
            self.runs += 1
            fails = number >= self.first_bad and self.chance.random() < self.rate
            return FAIL if fails else PASS

        return Built(str(number), str(number), run)


def _quiet(text: str) -> None:
    pass


def _search(history: _History, judge: Judge) -> int:
    good, bad = 0, _COMMITS
    while bad - good > 1:
        middle = (good + bad) // 2
        if judge.decide(history.at(middle)).mark is Mark.BAD:
            bad = middle
        else:
            good = middle
    return bad


def _hunt(history: _History) -> int:
    journal = _Memory(Path("nowhere"))
    failing, passing = history.at(_COMMITS), history.at(0)
    failure = ends.failure_at(failing, passing, journal, Wanted(), _CONFIDENCE, _quiet)
    test = ends.test_for(failure, error_of_each(_CONFIDENCE, _ANSWERS))
    judge = Judge(journal, failure, test, _quiet)
    found = _search(history, judge)
    while (known := proof.disproved(judge, history.at(found - 1))) is not None:
        judge = Judge(journal, known, ends.test_for(known, test.error), _quiet)
        found = _search(history, judge)
    return found


@pytest.mark.parametrize("rate", [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
def test_the_promised_confidence_holds(rate: float) -> None:
    chance = random.Random(int(rate * 1000))
    wrong = 0
    for _ in range(_TRIALS):
        history = _History(chance.randint(1, _COMMITS), rate, chance)
        wrong += _hunt(history) != history.first_bad
    # Chance adds at most this many, except once in a thousand times.
    allowed = _TRIALS * (1 - _CONFIDENCE)
    assert wrong <= allowed + 3.1 * math.sqrt(allowed), f"{wrong} of {_TRIALS}"


def test_a_failure_that_always_shows_costs_a_handful_of_runs_more() -> None:
    history = _History(41, 1.0, random.Random(1))
    assert _hunt(history) == 41
    assert history.runs <= 3 + math.log2(_COMMITS) + 6


def test_more_failures_seen_take_fewer_passes_to_prove() -> None:
    needed = [passes_that_prove(failed, 0, 0.001) for failed in (1, 3, 10, 100)]
    assert needed == sorted(needed, reverse=True)
    assert passes_that_prove(5, 5, 0.001) > passes_that_prove(5, 0, 0.001)
