# SPDX-License-Identifier: GPL-2.0-only
"""How many runs it takes to distinguish a good revision from one that fails sometimes. Pure.

A sequential test (Wald, 1945): each run moves the odds that the revision is bad, a failure by
rate/noise, a pass by (1 - rate)/(1 - noise); it ends when the odds are clear enough. A failure
that always shows is decided by its first run.

A rate seen in a few runs is an estimate, and a search that relies on it is right less often
than it claims: a failure in three of three runs may occur in only half of all runs. So the end of
a search is proved. It is wrong only if the failing end showed the failure each time and the last
good revision, which has it too, did not: ``passes_that_prove`` says how many passes make that rarer
than the allowed error, whatever the rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kvm.bisect.model import Mark

# How often a run of good code shows exactly the same failure by chance.
_NOISE = 0.0001
# The rate for "always": no number of runs proves it.
_STEADY = 0.99999
_MOST_PASSES = 400
# The share of a rate measured in few runs that is relied on.
_CAUTION = 0.75


@dataclass(frozen=True, slots=True)
class Sequential:
    """The test of one revision; ``error`` is the probability of a wrong answer."""

    rate: float
    error: float
    passes: int = 0  # a good revision must have at least as many

    @classmethod
    def steady(cls, error: float) -> Sequential:
        return cls(_STEADY, error)

    @classmethod
    def measured(cls, rate: float, error: float) -> Sequential:
        """The test for a failure seen at this rate in a few runs, taken cautiously."""
        return cls(max(_CAUTION * rate, 0.01), error)

    def decide(self, bad: int, good: int) -> Mark | None:
        """GOOD or BAD once there are enough runs, else None."""
        if bad and self.rate >= _STEADY:
            return Mark.BAD
        odds = bad * math.log(self.rate / _NOISE) + good * math.log((1 - self.rate) / (1 - _NOISE))
        bound = math.log((1 - self.error) / self.error)
        if odds >= bound:
            return Mark.BAD
        return Mark.GOOD if odds <= -bound and good >= self.passes else None

    @property
    def passes_needed(self) -> int:
        """How many runs without the failure make a revision good."""
        each = math.log((1 - _NOISE) / (1 - self.rate))
        return math.ceil(math.log((1 - self.error) / self.error) / each)


def passes_that_prove(failed: int, passed: int, error: float) -> int:
    """How many passes in a row prove that a revision lacks the failure, which occurred ``failed``
    times and did not ``passed`` times where it is known to be.

    For each rate r, both happen by chance with the probability of the first times
    (1 - r) ** passes; its maximum is at r = failed / all runs.
    """
    ways = math.comb(failed + passed - 1, passed) if failed else 1
    for passes in range(1, _MOST_PASSES):
        rate = failed / (failed + passed + passes)
        chance = ways * rate**failed * (1 - rate) ** (passed + passes)
        if chance <= error:
            return passes
    return _MOST_PASSES


def error_of_each(confidence: float, answers: int) -> float:
    """How often each of so many answers may be wrong if all must be right."""
    return (1 - confidence) / max(answers, 1)


def runs_to_see(rate: float, confidence: float) -> int:
    """How many runs show a failure of that rate at least once."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))
