# SPDX-License-Identifier: GPL-2.0-only
"""Which changes are reported, and in which words."""

from __future__ import annotations

import pytest

from kvm.results.history import Change, ChangeKind, Earlier, compare
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Reason, Verdict
from support.matrix_run import passed

_REASONS = {
    Verdict.PASS: Reason.OK,
    Verdict.FAIL: Reason.HANG,
    Verdict.FLAKY: Reason.HANG,
    Verdict.ERROR: Reason.INFRASTRUCTURE,
    Verdict.SKIP: Reason.NONE,
}


def _cell(verdict: Verdict, **changes: object) -> CellResult:
    return passed("a", verdict=verdict, reason=_REASONS[verdict], **changes)


def _compare(
    now: CellResult, before: CellResult | None = None, good: CellResult | None = None
) -> tuple[Change, ...]:
    return compare(
        {"a": now},
        {"a": Earlier(8, before)} if before else {},
        {"a": Earlier(5, good)} if good else {},
    )


PASS, FAIL, FLAKY, ERROR, SKIP = (_cell(v) for v in _REASONS)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (PASS, FAIL, ChangeKind.NEWLY_FAILING),
        (PASS, FLAKY, ChangeKind.NEWLY_FAILING),
        (PASS, ERROR, ChangeKind.NEWLY_FAILING),
        (None, FAIL, ChangeKind.NEWLY_FAILING),
        (FAIL, FAIL, ChangeKind.STILL_FAILING),
        (FAIL, FLAKY, ChangeKind.STILL_FAILING),
        (FLAKY, PASS, ChangeKind.FIXED),
        (ERROR, PASS, ChangeKind.FIXED),
        (PASS, SKIP, ChangeKind.NOT_TRIED),
        (FAIL, SKIP, ChangeKind.NOT_TRIED),
        (None, PASS, ChangeKind.NEW),
    ],
)
def test_verdicts_tell_the_kind(
    before: CellResult | None, now: CellResult, kind: ChangeKind
) -> None:
    assert [change.kind for change in _compare(now, before)] == [kind]


@pytest.mark.parametrize(("before", "now"), [(PASS, PASS), (None, SKIP)])
def test_nothing_is_told_of_what_stays_good_or_untried(
    before: CellResult | None, now: CellResult
) -> None:
    assert _compare(now, before) == ()


def test_a_failure_names_the_last_good_run() -> None:
    (change,) = _compare(FAIL, FAIL, PASS)
    assert change.detail == "FAIL hang, was FAIL hang in run 8; last good in run 5"
    assert (change.before, change.good) == (8, 5)
    (change,) = _compare(FAIL, ERROR)
    assert change.detail.endswith("; never passed before")


def test_speed_is_compared_with_the_last_good_run() -> None:
    slow = _cell(Verdict.PASS, seconds=10.0)
    kinds = [change.kind for change in _compare(slow, FAIL, PASS)]
    assert kinds == [ChangeKind.SLOWER, ChangeKind.FIXED]
    assert _compare(slow, PASS, PASS)[0].detail == "10.0 s, was 2.0 s in run 5"


@pytest.mark.parametrize(
    ("then", "now", "told"), [(0.5, 1.4, False), (10.0, 14.0, False), (2.0, 3.1, True)]
)
def test_slower_needs_a_ratio_and_a_second(then: float, now: float, told: bool) -> None:
    was, is_now = _cell(Verdict.PASS, seconds=then), _cell(Verdict.PASS, seconds=now)
    assert bool(_compare(is_now, was, was)) is told


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [(100, 150, False), (100, 151, True), (1000, 1240, False), (0, 900, False)],
)
def test_more_exits_needs_a_ratio_and_fifty(then: int, now: int, told: bool) -> None:
    was = _cell(Verdict.PASS, exits={"total": then})
    is_now = _cell(Verdict.PASS, exits={"total": now})
    assert [c.kind for c in _compare(is_now, was, was)] == [ChangeKind.MORE_EXITS] * told


def test_a_slow_failure_is_only_a_failure() -> None:
    slow = _cell(Verdict.FAIL, seconds=60.0)
    assert [change.kind for change in _compare(slow, PASS, PASS)] == [ChangeKind.NEWLY_FAILING]


def test_gone_cells_come_last_with_what_they_were() -> None:
    changes = compare({"a": FAIL}, {"b": Earlier(8, PASS)}, {}, gone=["b", "c"])
    assert [(change.cell, change.kind) for change in changes] == [
        ("a", ChangeKind.NEWLY_FAILING),
        ("b", ChangeKind.GONE),
        ("c", ChangeKind.GONE),
    ]
    assert [change.detail for change in changes[1:]] == [
        "was PASS in run 8",
        "is not planned any more",
    ]


def test_json_has_null_for_runs_that_were_not() -> None:
    (change,) = _compare(FAIL)
    assert change.to_json() == {
        "cell": "a",
        "kind": "newly failing",
        "detail": "FAIL hang in its first run",
        "before_run": None,
        "last_good_run": None,
    }
