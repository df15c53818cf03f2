# SPDX-License-Identifier: GPL-2.0-only
"""At the end of a search: proves that the last good revision is good and was not just lucky.

Called by ``hunt.py``. If a revision that was taken as good shows the failure after all, the
failure is intermittent: the search is then repeated with that knowledge. Runs in the journal are
not repeated.
"""

from __future__ import annotations

from dataclasses import replace

from kvm.bisect.confidence import passes_that_prove
from kvm.bisect.decide import Judge, counted
from kvm.bisect.model import Failure, Mark
from kvm.bisect.subject import Built


def proving(judge: Judge) -> Judge:
    """A judge that takes nothing as good until that is proved."""
    bad, passed = _where_it_is(judge)
    passes = passes_that_prove(bad, passed, judge.test.error)
    return replace(judge, test=replace(judge.test, passes=passes))


def disproved(judge: Judge, good: Built) -> Failure | None:
    """The failure as it is known now, if ``good`` shows it."""
    if proving(judge).decide(good).mark is not Mark.BAD:
        return None
    bad, passed = _where_it_is(judge)
    rate = min(round(bad / (bad + passed), 3), judge.failure.rate)
    return replace(judge.failure, rate=rate, steady=False)


def _where_it_is(judge: Judge) -> tuple[int, int]:
    """How often all builds that ever showed the failure did and did not show it."""
    each = [counted(judge.failure, runs) for runs in judge.journal.runs.values()]
    seen = [counts for counts in each if counts.bad]
    return sum(counts.bad for counts in seen), sum(counts.good for counts in seen)
