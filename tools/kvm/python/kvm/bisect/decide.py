# SPDX-License-Identifier: GPL-2.0-only
"""From runs of the test to what a revision is.

Only the failure that is hunted makes a revision bad, and only runs that passed make it good.
Another failure is run once more and then skipped; trouble that is nobody's fault is tried
again, and skipped when it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvm.bisect.confidence import Sequential
from kvm.bisect.journal import Journal
from kvm.bisect.model import Decision, Failure, Mark, Run
from kvm.bisect.subject import Built
from kvm.verdict.vocabulary import Verdict

_OTHER_FAILURES = 2  # so often seen, the revision is skipped
_TROUBLES = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """Runs by what they showed; ``others`` and ``troubles`` tell nothing of the failure."""

    bad: int
    good: int
    others: tuple[Run, ...]
    troubles: tuple[Run, ...]


def shows(failure: Failure, run: Run) -> bool:
    """Whether a run showed the failure that is hunted; one that comes and goes, in one boot of two.

    A machine that was lost once and passed then does not show what is always there.
    """
    flaky = run.verdict is Verdict.FLAKY and not failure.steady
    return (
        (run.verdict is Verdict.FAIL or flaky)
        and run.reason is failure.reason
        and (not failure.signature or run.signature == failure.signature)
    )


def counted(failure: Failure, runs: Sequence[Run]) -> Counts:
    """What the runs showed."""
    bad = [run for run in runs if shows(failure, run)]
    passed = [run for run in runs if run.verdict in (Verdict.PASS, Verdict.FLAKY)]
    good = [run for run in passed if run not in bad]
    rest = [run for run in runs if run not in bad and run not in good]
    return Counts(
        len(bad),
        len(good),
        tuple(run for run in rest if run.verdict is Verdict.FAIL),
        tuple(run for run in rest if run.verdict is not Verdict.FAIL),
    )


def verdict_of(failure: Failure, test: Sequential, runs: Sequence[Run]) -> tuple[Mark, str] | None:
    """The mark and a line why, or None when it takes another run. Pure."""
    counts = counted(failure, runs)
    mark = test.decide(counts.bad, counts.good)
    total = counts.bad + counts.good
    if mark is Mark.BAD:
        often = "" if counts.bad == total else f" in {counts.bad} of {total} runs"
        return Mark.BAD, f"{failure.reason.value}{often}: {failure.summary}"
    if mark is Mark.GOOD:
        return Mark.GOOD, "passes" if total == 1 else f"passes {counts.good} of {total} runs"
    if len(counts.others) >= _OTHER_FAILURES:
        other = counts.others[-1]
        return Mark.SKIP, f"another failure, {other.reason.value}: {other.summary}"
    if len(counts.troubles) >= _TROUBLES:
        trouble = counts.troubles[-1]
        return Mark.SKIP, f"{trouble.reason.value}: {trouble.summary}"
    return None


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides revisions by running the test; what the journal holds is not run again."""

    journal: Journal
    failure: Failure
    test: Sequential
    say: Callable[[str], None]

    def decide(self, built: Built) -> Decision:
        """Run ``built`` until it is clear what it is."""
        new, seconds = 0, 0.0
        while (found := verdict_of(self.failure, self.test, self._runs(built))) is None:
            self.say(f"run {len(self._runs(built)) + 1} of {built.name}")
            run = built.run()
            self.journal.add_run(built.key, run)
            new, seconds = new + 1, seconds + run.seconds
        counts = counted(self.failure, self._runs(built))
        return Decision(
            *found,
            bad=counts.bad,
            good=counts.good,
            kernel=built.kernel,
            vmm=built.vmm,
            seconds=round(seconds, 3),
            reused=not new,
        )

    def _runs(self, built: Built) -> Sequence[Run]:
        return self.journal.runs.get(built.key, ())
