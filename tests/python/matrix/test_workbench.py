# SPDX-License-Identifier: GPL-2.0-only
"""The outcome of a bench from the checks that are added to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvm.matrix.workbench import CellBench
from kvm.run.record import RunRecord, Timings
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

PASSED = Outcome(Verdict.PASS, Reason.OK, "")


def _bench(kept_s: float) -> CellBench:
    nothing: Any = None
    bench = CellBench(
        cell=nothing,
        folder=Path(),
        seed=0,
        context=nothing,
        guest=nothing,
        hosting=nothing,
        ends_at=0.0,
        note=lambda text: None,
    )
    timings = Timings(kept=kept_s)
    bench.records.append(RunRecord(outcome=PASSED, host="lab", exit_code=0, timings=timings))
    return bench


@pytest.mark.parametrize(
    ("statuses", "kept_s", "verdict"),
    [
        ((Status.PASS,), 60.0, Verdict.PASS),
        ((Status.TIMEOUT,), 0.5, Verdict.FAIL),
        ((Status.TIMEOUT, Status.PASS), 20.0, Verdict.ERROR),
        ((Status.TIMEOUT, Status.FAIL), 20.0, Verdict.FAIL),
    ],
)
def test_a_program_is_not_late_where_its_machine_was_not_run(
    statuses: tuple[Status, ...], kept_s: float, verdict: Verdict
) -> None:
    bench = _bench(kept_s)
    bench.add([Case(f"case{number}", status) for number, status in enumerate(statuses)])
    assert bench.outcome.verdict is verdict


def test_a_machine_that_was_flaky_does_not_end_its_cell_and_does_not_pass_it() -> None:
    bench = _bench(0.0)
    lost = Outcome(Verdict.FLAKY, Reason.KERNEL_PANIC, "FLAKY (1/2): triple fault")
    bench._judge(RunRecord(outcome=lost, host="lab", exit_code=125))
    bench.check("reads", True)
    assert (bench.outcome, bench.flaky) == (PASSED, lost)
