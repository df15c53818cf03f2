# SPDX-License-Identifier: GPL-2.0-only
"""The display while the matrix runs."""

from __future__ import annotations

import io

from kvm.matrix.live import LiveDisplay, PlainDisplay, failure_text
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Evidence, Reason, Verdict

PASSED = CellResult("lab-a", {}, Verdict.PASS, Reason.OK, "3 checks held", seconds=1.25)
FAILED = CellResult(
    "lab-b",
    {},
    Verdict.FAIL,
    Reason.HANG,
    "no sign of life",
    evidence=(Evidence("registers", ("rip is f+0x1",)),),
    repeat="./invoke test --matrix -k lab-b",
)


def test_a_log_has_a_line_a_cell_with_the_reason_of_a_failure() -> None:
    out = io.StringIO()
    display = PlainDisplay(12, out)
    for result in (PASSED, FAILED):
        display.begins(result.cell)
        display.ended(result)
    assert out.getvalue().splitlines() == [
        "[ 1/12] PASS  lab-a 1.2 s",
        "[ 2/12] FAIL  lab-b 0.0 s hang: no sign of life",
    ]


def test_the_closing_line_counts_what_was_not_run() -> None:
    display = PlainDisplay(3, io.StringIO())
    display.ended(PASSED)
    display.ended(FAILED)
    closing = display.closing()
    assert closing.startswith("matrix: 1 passed, 1 failed, 0 flaky, 0 error, 0 skipped, 1 not run")


def test_a_live_view_keeps_failures_on_the_screen() -> None:
    out = io.StringIO()
    display = LiveDisplay(2, out)
    display.start()
    display.begins("lab-b")
    display.ended(FAILED)
    display.stop()
    assert "lab-b" in out.getvalue()


def test_a_failure_tells_why_and_how_to_do_it_again() -> None:
    text = failure_text(FAILED)
    assert "rip is f+0x1" in text
    assert "repeat: ./invoke test --matrix -k lab-b" in text
