# SPDX-License-Identifier: GPL-2.0-only
"""A cell that is taken up again starts with its earlier attempts."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import InfrastructureError, UserError
from kvm.kernel.build import Kernel
from kvm.matrix.cell import Cell
from kvm.matrix.cellrun import CellRunner
from kvm.matrix.order import WorkOrder
from kvm.matrix.workbench import WorkerContext
from kvm.matrix.workload import Bench, Workload
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.results.model import CellResult
from kvm.run import hosts
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import Reason, Verdict
from kvm.vm.build import Vmm

CELL = Cell()
Step = Callable[[Bench], None]


@pytest.fixture
def order(tmp_path: Path) -> WorkOrder:
    return order_in(tmp_path)


def order_in(folder: Path) -> WorkOrder:
    kernel = Kernel("k", "image", "6.12.1", "source", "default", folder / "kernel", 1.5, True)
    vmm = Vmm("vmm", folder / "vmm", 0.5, False)
    return WorkOrder((CELL,), vmm, {"default": kernel}, 7, folder / "build" / "matrix" / "7")


def take(order: WorkOrder, *steps: Step) -> CellResult:
    """Run the cell in a worker of its own; each attempt is the next of ``steps``."""
    project = Project(order.folder.parents[2])
    quiet = Progress(io.StringIO(), live=False)
    context = WorkerContext(project, "slot", hosts.HostNotes(), quiet, 1)
    left = iter(steps)
    workload = Workload("scripted", lambda bench: next(left)(bench), "nothing", 10.0)
    return CellRunner(order, context, "gw0").run(CELL, workload)


def fails(bench: Bench) -> None:
    (bench.folder / "console.log").write_text("the evidence\n")
    bench.check("held", False, "it did not")


def passes(bench: Bench) -> None:
    bench.check("held", True)


def is_killed(bench: Bench) -> None:
    raise KeyboardInterrupt


def has_trouble(bench: Bench) -> None:
    raise InfrastructureError("the emulator died")


def test_a_failure_seen_before_a_kill_still_counts(order: WorkOrder) -> None:
    with pytest.raises(KeyboardInterrupt):
        take(order, fails, is_killed)
    result = take(order, passes, passes, passes)
    assert (result.verdict, result.reason) == (Verdict.FLAKY, Reason.CHECK_FAILED)
    assert result.summary == "FLAKY (1/4): held: it did not"
    assert (order.folder / CELL.id / "attempt1" / "console.log").read_text() == "the evidence\n"


def test_a_failure_that_had_come_back_is_not_tried_again(order: WorkOrder) -> None:
    with pytest.raises(KeyboardInterrupt):
        take(order, has_trouble, is_killed)
    take(order, fails, fails)  # and its result is lost
    result = take(order)
    assert result.verdict is Verdict.FAIL
    assert len(result.attempts) == 2


def test_trouble_of_before_is_no_attempt(order: WorkOrder) -> None:
    assert take(order, *[has_trouble] * 4).verdict is Verdict.ERROR
    result = take(order, passes)
    assert (result.verdict, len(result.attempts)) == (Verdict.PASS, 1)


def test_what_is_known_of_the_lab_host_is_noted_and_no_failure(order: WorkOrder) -> None:
    warning = "[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 odd+0x1/0x2\n"

    class Complaining:
        console = warning

        def close(self) -> None: ...

        def distrust(self, why: str) -> None: ...

    def opens_a_host(bench: Bench) -> None:
        bench._hosts.append(Complaining())  # type: ignore[attr-defined]
        bench.check("held", True)

    known = KnownWarnings(order.folder / "known", {"host WARNING at a.c odd": 1})
    assert take(order, *[opens_a_host] * 4).reason is Reason.KERNEL_WARNING
    result = take(
        replace(order, number=8, folder=order.folder / "8", known_warnings=known), opens_a_host
    )
    assert result.verdict is Verdict.PASS
    assert known.unseen([result.evidence]) == ()
    assert f"--known-warnings={known.path}" in result.repeat


def test_the_checks_and_evidence_of_before_are_shown(order: WorkOrder) -> None:
    with pytest.raises(KeyboardInterrupt):
        take(order, fails, is_killed)
    result = take(order, fails)
    assert [case.name for case in result.checks] == ["held"]
    assert result.signature == "check held"


def test_an_attempt_that_cannot_be_read_is_no_pass(order: WorkOrder) -> None:
    take(order, passes)
    kept = order.folder / CELL.id / "attempt1" / "attempt.json"
    kept.write_text(kept.read_text().replace("PASS", "GOOD"))
    with pytest.raises(UserError, match=r"attempt1/attempt\.json"):
        take(order, passes)
