# SPDX-License-Identifier: GPL-2.0-only
"""An interrupted run is resumed with its own cells and their earlier attempts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kvm.commands import matrix as command
from kvm.commands.matrix import MatrixOptions
from kvm.errors import UsageError
from kvm.kernel.build import Kernel
from kvm.matrix import prepare
from kvm.matrix.attempts import Try, keep, new_folder
from kvm.matrix.cell import Cell
from kvm.matrix.order import FILE, WorkOrder
from kvm.matrix.plugin import Results
from kvm.matrix.select import Selection
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.results.model import Attempt
from kvm.results.store import Store
from kvm.run import pytest_run
from kvm.verdict.vocabulary import Outcome, Reason, Verdict
from kvm.vm.build import Vmm
from support.matrix_run import passed

CELLS = tuple(Cell(vcpus=number) for number in range(1, 6))
IDS = [cell.id for cell in CELLS]
VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.FLAKY)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a run of five cells that was killed when four of them had a verdict."""
    made = Project(tmp_path)
    (tmp_path / "linux").mkdir()
    kernel = Kernel("k", "image", "6.12.1", "source", "default", tmp_path / "kernel", 1.5, True)
    vmm = Vmm("vmm", tmp_path / "vmm", 0.5, False)
    monkeypatch.setattr(prepare, "build", lambda *_: (vmm, {"default": kernel}))
    monkeypatch.setattr(Project, "find", staticmethod(lambda: made))
    wanted = WorkOrder(CELLS, vmm, {"default": kernel}, slots=1)
    order = prepare.open_run(made, wanted, subset="ci", command="")
    with Store.open(made.build / "results.sqlite3") as store:
        for cell, verdict in zip(CELLS, VERDICTS, strict=False):
            reason = Reason.OK if verdict is Verdict.PASS else Reason.HANG
            store.add(order.number, passed(cell.id, verdict=verdict, reason=reason))
    return made


class Pytest:
    """Replaces pytest: every cell that it gets passes."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.out = ""

    def run(self, project: Project, words: Sequence[str]) -> int:
        (file,) = (Path(word.partition("=")[2]) for word in words if "order=" in word)
        order = WorkOrder.read(file)
        self.cells = [cell.id for cell in order.cells]
        with Store.open(project.build / "results.sqlite3") as store:
            for cell in self.cells:
                store.add(order.number, passed(cell))
            store.end(order.number, time.time())
        return 0


def resume(project: Project, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """The exit code, and the cells that ran."""
    fake = Pytest()
    monkeypatch.setattr(pytest_run, "run", fake.run)
    with Progress(live=False) as progress:
        code = command.run(project, progress, MatrixOptions(Selection(), resume=True, workers=1))
    return code, fake.cells


def verdicts(project: Project) -> list[Verdict]:
    with Store.open(project.build / "results.sqlite3") as store:
        return [result.verdict for result in store.cells(1).values()]


def test_a_failed_cell_is_no_pass_after_a_resume(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, ran = resume(project, monkeypatch)
    assert code == 1
    assert ran == [IDS[2], IDS[4]]  # the cell with an ERROR, and the one not tried
    assert verdicts(project) == [
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.PASS,
        Verdict.FLAKY,
        Verdict.PASS,
    ]


def test_cells_that_had_not_been_chosen_are_not_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(project.build / "results.sqlite3") as store:
        store.replan(1, IDS[:4])  # by `-- -k`, say
    assert resume(project, monkeypatch)[1] == [IDS[2]]


def test_a_run_that_was_killed_at_its_very_end_is_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(project.build / "results.sqlite3") as store:
        store.replan(1, IDS[:2])
    assert resume(project, monkeypatch) == (1, [])
    with Store.open(project.build / "results.sqlite3") as store:
        assert store.last_unfinished() is None


@pytest.mark.parametrize(
    ("selection", "word"),
    [
        (Selection(expression="boot"), "-k"),
        (Selection(axes=("vcpus=1",)), "--axis"),
        (Selection(workload="true"), "--workload"),
    ],
)
def test_other_cells_cannot_be_asked_for(project: Project, selection: Selection, word: str) -> None:
    with Progress(live=False) as progress, pytest.raises(UsageError, match=f"--resume with {word}"):
        command.run(project, progress, MatrixOptions(selection, resume=True))


class Config:
    """The part of pytest's config that ``Results`` uses."""

    def __init__(self, order: Path) -> None:
        self._options: dict[str, Any] = {"--matrix-order": str(order), "--matrix-plain": True}

    def getoption(self, name: str) -> Any:
        return self._options[name]


def results_of(order: WorkOrder, name: str) -> Results:
    return Results(Config(order.write(name)), order)  # type: ignore[arg-type]


def test_what_was_done_before_is_counted_and_its_failures_are_shown(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    left = prepare.left(project)
    with Progress(live=False) as progress:
        order = prepare.resume(project, progress, left, workers=1)
    shown = results_of(order, prepare.RESUMED)
    shown.pytest_sessionstart()
    terminal = SimpleNamespace(lines=[])
    terminal.write_line = terminal.lines.append
    shown.pytest_terminal_summary(terminal)
    assert terminal.lines[0].startswith(
        "matrix: 1 passed, 1 failed, 1 flaky, 0 error, 0 skipped, 2 not run of 5 cells"
    )
    assert f"FAIL  {IDS[1]}" in capfd.readouterr().out


def test_a_worker_that_dies_does_not_take_a_failure_with_it(project: Project) -> None:
    order = WorkOrder.read(project.build / "matrix" / "1" / FILE)
    outcome = Outcome(Verdict.FAIL, Reason.HANG, "no sign of life")
    seen = Try(Attempt(outcome.verdict, outcome.reason, outcome.summary), outcome)
    cell = CELLS[4]
    keep(new_folder(order.folder / cell.id), order, cell, seen)
    report = SimpleNamespace(
        nodeid=f"tests/matrix/test_matrix.py::test_cell[{cell.id}]",
        user_properties=[],
        when="???",
        outcome="failed",
        longrepr="worker 'gw0' crashed",
    )
    results_of(order, FILE).pytest_runtest_logreport(report)  # type: ignore[arg-type]
    assert verdicts(project)[4] is Verdict.FAIL
