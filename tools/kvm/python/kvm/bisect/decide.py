# SPDX-License-Identifier: GPL-2.0-only
"""Decides from runs of the test what a revision is.

Only the failure that is searched for makes a revision bad, and only passes make it good. Another
failure is run once more and then skipped; trouble that is nobody's fault is retried, and skipped
if it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvm.bisect.confidence import Sequential
from kvm.bisect.journal import Journal
from kvm.bisect.model import Decision, Failure, Mark, Run
from kvm.bisect.subject import Built
from kvm.verdict.vocabulary import Verdict

_OTHER_FAILURES = 2  # after so many, the revision is skipped
_TROUBLES = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """Runs by their result; ``others`` and ``troubles`` say nothing about the failure."""

    bad: int
    good: int
    others: tuple[Run, ...]
    troubles: tuple[Run, ...]


def shows(failure: Failure, run: Run) -> bool:
    """Whether a run showed the failure; an unsteady failure also counts in a FLAKY run.

    A machine that was lost once and then passed does not show a failure that always occurs.
    """
    flaky = run.verdict is Verdict.FLAKY and not failure.steady
    return (
        (run.verdict is Verdict.FAIL or flaky)
        and run.reason is failure.reason
        and (not failure.signature or run.signature == failure.signature)
    )


def counted(failure: Failure, runs: Sequence[Run]) -> Counts:
    """Count the runs by their result."""
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
    """The mark and a line why, or None if another run is needed. Pure."""
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
    """Decides revisions by running the test; runs in the journal are not repeated."""

    journal: Journal
    failure: Failure
    test: Sequential
    say: Callable[[str], None]

    def decide(self, built: Built) -> Decision:
        """Run ``built`` until its mark is clear."""
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
