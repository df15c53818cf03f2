# SPDX-License-Identifier: GPL-2.0-only
"""At the end of a search: is the last good revision good, or had it only been lucky?

Called by ``hunt.py``. A revision that was taken for good and shows the failure after all says
that the failure comes and goes: the search is then made again with that known. What the journal
has is not run again.
"""

from __future__ import annotations

from dataclasses import replace

from kvm.bisect.confidence import passes_that_prove
from kvm.bisect.decide import Judge, counted
from kvm.bisect.model import Failure, Mark
from kvm.bisect.subject import Built


def proving(judge: Judge) -> Judge:
    """The judge that takes nothing for good before that is proved."""
    bad, passed = _where_it_is(judge)
    passes = passes_that_prove(bad, passed, judge.test.error)
    return replace(judge, test=replace(judge.test, passes=passes))


def disproved(judge: Judge, good: Built) -> Failure | None:
    """The failure as it is known now, when ``good`` shows it."""
    if proving(judge).decide(good).mark is not Mark.BAD:
        return None
    bad, passed = _where_it_is(judge)
    rate = min(round(bad / (bad + passed), 3), judge.failure.rate)
    return replace(judge.failure, rate=rate, steady=False)


def _where_it_is(judge: Judge) -> tuple[int, int]:
    """How often all that has ever shown the failure did and did not show it."""
    each = [counted(judge.failure, runs) for runs in judge.journal.runs.values()]
    seen = [counts for counts in each if counts.bad]
    return sum(counts.bad for counts in seen), sum(counts.good for counts in seen)
