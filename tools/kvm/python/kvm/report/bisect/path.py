# SPDX-License-Identifier: GPL-2.0-only
"""The path of the search: its stops along history, and what was left of it at each step. Pure.

In a history with merges, a commit's place is how many commits it has that the good end lacks, so
it always comes after its ancestors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kvm.bisect.model import Commit, Mark, Report, Step


@dataclass(frozen=True, slots=True)
class Stop:
    """``number`` is the step's; 0 is an end, whose mark was verified before the search."""

    commit: Commit
    mark: Mark
    number: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """The part of history still open before a step, and where it went next, as fractions of all."""

    start: float
    end: float
    at: float


def is_placed(report: Report) -> bool:
    """Whether the place of every step is known."""
    return report.commits > 0 and all(0 < step.at <= report.commits for step in report.steps)


def stops(report: Report) -> tuple[Stop, ...]:
    """The ends and the steps, oldest first, or in the order of the search if places are unknown."""
    numbered = list(enumerate(report.steps, 1))
    if is_placed(report):
        numbered.sort(key=lambda item: item[1].at)
    old, new = (Mark.BAD, Mark.GOOD) if report.fix else (Mark.GOOD, Mark.BAD)
    return (
        Stop(report.good, old),
        *(Stop(step.commit, step.decision.mark, number) for number, step in numbered),
        Stop(report.bad, new),
    )


def spans(report: Report) -> tuple[Span, ...]:
    """One span for each step; () if places are unknown."""
    return tuple(_spans(report)) if is_placed(report) else ()


def _spans(report: Report) -> Iterator[Span]:
    total = report.commits
    start, end = 0, total
    for step in report.steps:
        yield Span(start / total, end / total, step.at / total)
        if step.decision.mark is not Mark.SKIP:
            if _is_old(step, report):
                start = max(start, step.at)
            else:
                end = min(end, step.at)


def _is_old(step: Step, report: Report) -> bool:
    return (step.decision.mark is Mark.GOOD) is not report.fix
