# SPDX-License-Identifier: GPL-2.0-only
"""How often a failed cell is run again, and what its attempts amount to. Pure.

A failure that comes back in the same way at once is a FAIL. One that does not is run
until there are enough attempts to give a rate, and is FLAKY if any of them passed.
Trouble that is nobody's fault is tried again too, and ERROR only when it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvm.results.model import Attempt
from kvm.verdict.vocabulary import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Sum:
    """A cell's verdict; ``attempt`` is the index of the one whose evidence is shown."""

    verdict: Verdict
    reason: Reason
    summary: str
    attempt: int


def wants_another(attempts: Sequence[Attempt], reruns: int) -> bool:
    """Whether to run the cell (again); ``reruns`` bounds the runs after the first."""
    if not attempts:
        return True
    if len(attempts) > reruns:
        return False
    bad = [attempt for attempt in attempts if _is_bad(attempt)]
    if not bad or any(attempt.reason is Reason.BUILD_FAILURE for attempt in bad):
        return False
    passed = len(bad) < len(attempts)
    if all(attempt.verdict is Verdict.ERROR for attempt in bad):
        return not passed
    return passed or not _came_back(bad)


def summed_up(attempts: Sequence[Attempt]) -> Sum:
    """The verdict of all attempts; there is at least one."""
    failed = [n for n, attempt in enumerate(attempts) if attempt.verdict is Verdict.FAIL]
    if not failed:
        # Infrastructure that worked in the end is no finding; that which never did is an ERROR.
        shown = next((n for n, a in enumerate(attempts) if not _is_bad(a)), len(attempts) - 1)
        chosen = attempts[shown]
        return Sum(chosen.verdict, chosen.reason, chosen.summary, shown)
    first = attempts[failed[0]]
    if any(not _is_bad(attempt) for attempt in attempts):
        rate = f"FLAKY ({len(failed)}/{len(attempts)})"
        return Sum(Verdict.FLAKY, first.reason, f"{rate}: {first.summary}", failed[0])
    return Sum(first.verdict, first.reason, first.summary, failed[0])


def _is_bad(attempt: Attempt) -> bool:
    return attempt.verdict in (Verdict.FAIL, Verdict.ERROR)


def _came_back(bad: Sequence[Attempt]) -> bool:
    """The same failure twice; one without a signature goes by its reason."""
    names = [a.signature or a.reason.value for a in bad if a.verdict is Verdict.FAIL]
    return len(names) != len(set(names))
