# SPDX-License-Identifier: GPL-2.0-only
"""How often to run a failed cell again, and the verdict on its attempts. Pure.

If the same failure comes back at once, it is a FAIL. Otherwise the cell is run until there are
enough attempts for a rate, and is FLAKY if any of them passed. Trouble that is nobody's fault is
also retried, and is an ERROR only if it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvm.results.model import Attempt
from kvm.verdict.vocabulary import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Sum:
    """A cell's verdict; ``attempt`` is the index of the attempt whose evidence is shown."""

    verdict: Verdict
    reason: Reason
    summary: str
    attempt: int


def wants_another(attempts: Sequence[Attempt], reruns: int) -> bool:
    """Whether to run the cell (again); ``reruns`` limits the runs after the first."""
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
    """The verdict on all attempts, of which there is at least one."""
    failed = [n for n, attempt in enumerate(attempts) if attempt.verdict is Verdict.FAIL]
    if not failed:
        # Infrastructure trouble that went away is no finding; if it never did, it is an ERROR.
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
    """Whether a failure occurred twice; without a signature its reason is compared."""
    names = [a.signature or a.reason.value for a in bad if a.verdict is Verdict.FAIL]
    return len(names) != len(set(names))
