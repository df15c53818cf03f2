# SPDX-License-Identifier: GPL-2.0-only
"""Before the search: checks that the ends are as claimed, and determines the failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kvm.bisect.confidence import Sequential, runs_to_see
from kvm.bisect.decide import Judge
from kvm.bisect.journal import Journal
from kvm.bisect.model import Failure, Mark, Run
from kvm.bisect.subject import Built
from kvm.errors import UserError
from kvm.say import Say
from kvm.verdict.vocabulary import Reason, Verdict

# As many runs that all fail in the same way make a failure steady.
_STEADY_RUNS = 3
# The rate of an unsteady failure is trusted after this many failures.
_FAILURES = 5
# Failures rarer than this are not searched for.
_RAREST = 0.1
_TROUBLES = 3
# After as many passes, check whether the ends are swapped.
_DOUBT = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller said about the failure; "" leaves it to the failing end."""

    reason: str = ""
    signature: str = ""


def failure_at(
    failing: Built,
    passing: Built,
    journal: Journal,
    wanted: Wanted,
    confidence: float,
    say: Say,
) -> Failure:
    """Run the failing end until its failure is known. Raises ``UserError`` for a wrong end."""
    most = runs_to_see(_RAREST, confidence)
    while not _known(journal.runs.get(failing.key, ()), most):
        runs = journal.runs.get(failing.key, ())
        say(f"the failing end {failing.name}: run {len(runs) + 1}")
        journal.add_run(failing.key, failing.run())
        runs = journal.runs[failing.key]
        if len(runs) == _DOUBT and not _failed(runs):
            _refuse_swapped(failing, passing, journal, say)
    runs = journal.runs[failing.key]
    failed = _matching(_failed(runs), wanted)
    if not failed:
        raise _no_failure(failing, runs, wanted)
    return _failure(failed, [run for run in runs if run.verdict is Verdict.PASS], wanted)


def check_passing(judge: Judge, passing: Built) -> None:
    """Raise ``UserError`` unless the passing end passes."""
    decision = judge.decide(passing)
    if decision.mark is Mark.BAD:
        raise UserError(
            f"the good end {passing.name} shows the failure too ({decision.why})",
            "go further back; or it is not in the kernel or the VMM but in the test itself: "
            "bisect that with a command after --",
        )
    if decision.mark is Mark.SKIP:
        raise UserError(
            f"the good end {passing.name} can't be judged: {decision.why}",
            "give a revision at which the test passes",
        )


def test_for(failure: Failure, error: float) -> Sequential:
    """The test of revisions for this failure."""
    if failure.steady:
        return Sequential.steady(error)
    return Sequential.measured(failure.rate, error)


def _known(runs: Sequence[Run], most: int) -> bool:
    failed = _failed(runs)
    passed = [run for run in runs if run.verdict is Verdict.PASS]
    if len(runs) - len(failed) - len(passed) >= _TROUBLES or len(failed) >= _FAILURES:
        return True
    return (len(failed) >= _STEADY_RUNS and not passed) or len(failed) + len(passed) >= most


def _failed(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.verdict in (Verdict.FAIL, Verdict.FLAKY)]


def _matching(failed: Sequence[Run], wanted: Wanted) -> list[Run]:
    return [
        run
        for run in failed
        if wanted.reason in ("", run.reason.value) and wanted.signature in ("", run.signature)
    ]


def _failure(failed: Sequence[Run], passed: Sequence[Run], wanted: Wanted) -> Failure:
    """The most frequent reason, with its signature if that is always the same."""
    reason = Counter(run.reason for run in failed).most_common(1)[0][0]
    alike = [run for run in failed if run.reason is reason]
    signatures = {run.signature for run in alike}
    signature = wanted.signature or (signatures.pop() if len(signatures) == 1 else "")
    rate = len(alike) / (len(failed) + len(passed))
    steady = not passed and all(run.verdict is Verdict.FAIL for run in failed)
    return Failure(reason, signature, alike[0].summary, round(rate, 3), steady)


def _refuse_swapped(failing: Built, passing: Built, journal: Journal, say: Say) -> None:
    say(f"the good end {passing.name}: does that fail instead?")
    run = passing.run()
    journal.add_run(passing.key, run)
    if run.verdict is Verdict.FAIL and run.reason is not Reason.BUILD_FAILURE:
        raise UserError(
            f"the ends are the wrong way round: {failing.name} passes, and {passing.name} fails "
            f"({run.summary})",
            "swap --good and --bad; or add --fix to find the commit that fixed it",
        )


def _no_failure(failing: Built, runs: Sequence[Run], wanted: Wanted) -> UserError:
    passed = sum(run.verdict is Verdict.PASS for run in runs)
    if passed:
        return UserError(
            f"the bad end {failing.name} does not fail: {passed} of {len(runs)} runs passed",
            "check the test and the revision; is what fails committed?",
        )
    if wanted.reason or wanted.signature:
        return UserError(
            f"the bad end {failing.name} shows another failure, {runs[-1].reason.value}: "
            f"{runs[-1].summary} [{runs[-1].signature}]",
            "leave out --reason and --signature, or fix them",
        )
    return UserError(
        f"the bad end {failing.name} can't be judged: {runs[-1].summary}",
        "fix that first, or give another revision",
    )
