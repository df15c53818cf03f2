# SPDX-License-Identifier: GPL-2.0-only
"""The reports of exercises become checks; an incomplete one can't pass."""

from __future__ import annotations

from typing import Any, cast

from kvm.matrix.workload import Bench
from kvm.matrix.workloads.exercise import figures, take_reports

GOOD = "KTAP version 1\n# 2 of 2\nok 1 CPUs\n# 0 wrong\nok 2 reads\n1..2\n"


class Checks:
    """The part of a bench that takes checks."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, str]] = []

    def check(self, name: str, ok: bool, note: str = "") -> None:
        self.seen.append((name, ok, note))

    @property
    def bad(self) -> list[str]:
        return [name for name, ok, _ in self.seen if not ok]


def checks(text: str) -> Checks:
    taken = Checks()
    take_reports(cast(Bench, cast(Any, taken)), text)
    return taken


def test_each_result_is_a_check_with_its_figures() -> None:
    taken = checks(f"before\n{GOOD}between\n{GOOD}after\n")
    assert not taken.bad
    assert ("CPUs", True, "2 of 2") in taken.seen
    assert len(taken.seen) == 1 + 2 * 2


def test_a_failure_keeps_its_words() -> None:
    taken = checks(GOOD.replace("# 0 wrong\nok 2", "# 3 wrong\nnot ok 2"))
    assert ("reads", False, "3 wrong") in taken.seen


def test_no_report_and_half_a_report_fail() -> None:
    assert checks("all is well\n").bad == ["exercises report"]
    assert checks(GOOD.replace("1..2\n", "")).bad == ["report 1 is complete"]


def test_figures_are_read_from_their_comment() -> None:
    text = "# clock a=1 b=2.5\n# other a=9\n# clock a=3 b=4\n"
    assert figures(text, "clock") == {"a": "3", "b": "4"}
    assert figures(text, "rtc") == {}
