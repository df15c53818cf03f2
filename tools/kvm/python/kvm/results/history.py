# SPDX-License-Identifier: GPL-2.0-only
"""The changes between a run and earlier ones. Pure; ``store.py`` finds the earlier results.

A cell is compared with two of its earlier results: the last one of all, which shows what is new,
and the last PASS, which shows what the cell was like when it was good. Runs of a subset or of a
single cell can therefore be compared as well as whole runs. A SKIP is no result: a cell that was
not tried is compared with the last time it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Reason, Verdict

SLOWER_RATIO, SLOWER_S = 1.5, 1.0
MORE_EXITS_RATIO, MORE_EXITS = 1.25, 50

_FAILING = frozenset((Verdict.FAIL, Verdict.FLAKY, Verdict.ERROR))


@dataclass(frozen=True, slots=True)
class Past:
    """One cell's result in one run, as shown in the history."""

    run: int
    started: float
    verdict: Verdict
    reason: Reason
    seconds: float
    exits_total: int
    kernel_id: str
    vmm_id: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A cell's whole result in an earlier run."""

    run: int
    result: CellResult


class ChangeKind(Enum):
    """The kinds, in the order in which a reader wants to see them."""

    NEWLY_FAILING = "newly failing"
    STILL_FAILING = "still failing"
    NOT_TRIED = "no longer tried"
    SLOWER = "slower"
    MORE_EXITS = "more exits"
    FIXED = "fixed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` and ``good`` are the numbers of the runs compared with; 0 if there was none.

    ``detail`` describes it on one line: what it was and what it is.
    """

    cell: str
    kind: ChangeKind
    detail: str
    before: int = 0
    good: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "cell": self.cell,
            "kind": self.kind.value,
            "detail": self.detail,
            "before_run": self.before or None,
            "last_good_run": self.good or None,
        }


def compare(
    cells: Mapping[str, CellResult],
    before: Mapping[str, Earlier],
    good: Mapping[str, Earlier],
    gone: Iterable[str] = (),
) -> tuple[Change, ...]:
    """All changes, the worst kind first.

    ``before`` has each cell's last earlier result, ``good`` its last earlier PASS, ``gone`` the
    cells that the last run of the same selection had and this one does not plan.
    """
    found = [
        change
        for cell, result in cells.items()
        for change in _changes(result, before.get(cell), good.get(cell))
    ]
    for cell in gone:
        was = before.get(cell)
        words = f"was {_words(was.result)} in run {was.run}" if was else "is not planned any more"
        found.append(Change(cell, ChangeKind.GONE, words, was.run if was else 0))
    order = list(ChangeKind)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


def _changes(now: CellResult, before: Earlier | None, good: Earlier | None) -> Iterator[Change]:
    told = _verdict_change(now, before, good)
    if told is not None:
        kind, words = told
        yield Change(now.cell, kind, words, before.run if before else 0, good.run if good else 0)
    # The costs of a failed cell mean nothing, so only passes are compared.
    if now.verdict is Verdict.PASS and good is not None:
        for kind, words in _costs(now, good):
            yield Change(now.cell, kind, words, before.run if before else 0, good.run)


def _verdict_change(
    now: CellResult, before: Earlier | None, good: Earlier | None
) -> tuple[ChangeKind, str] | None:
    is_bad = now.verdict in _FAILING
    since = f"; last good in run {good.run}" if good else "; never passed before"
    if before is None:
        if is_bad:
            return ChangeKind.NEWLY_FAILING, f"{_words(now)} in its first run"
        return None if now.verdict is Verdict.SKIP else (ChangeKind.NEW, f"{_words(now)}")
    was = f"{_words(before.result)} in run {before.run}"
    if now.verdict is Verdict.SKIP:
        return ChangeKind.NOT_TRIED, f"SKIP, was {was}"
    if is_bad and before.result.verdict in _FAILING:
        return ChangeKind.STILL_FAILING, f"{_words(now)}, was {was}{since}"
    if is_bad:
        return ChangeKind.NEWLY_FAILING, f"{_words(now)}, was {was}"
    return (ChangeKind.FIXED, f"was {was}") if before.result.verdict in _FAILING else None


def _costs(now: CellResult, good: Earlier) -> Iterator[tuple[ChangeKind, str]]:
    then = good.result
    if now.seconds > then.seconds * SLOWER_RATIO and now.seconds - then.seconds > SLOWER_S:
        yield (
            ChangeKind.SLOWER,
            f"{now.seconds:.1f} s, was {then.seconds:.1f} s in run {good.run}",
        )
    more, fewer = exits_total(now), exits_total(then)
    if fewer and more > fewer * MORE_EXITS_RATIO and more - fewer > MORE_EXITS:
        yield ChangeKind.MORE_EXITS, f"{more} exits, was {fewer} in run {good.run}"


def exits_total(result: CellResult) -> int:
    total = result.exits.get("total", 0)
    return total if isinstance(total, int) else 0


def _words(result: CellResult) -> str:
    if result.reason in (Reason.OK, Reason.NONE):
        return result.verdict.value
    return f"{result.verdict.value} {result.reason.value}"
