# SPDX-License-Identifier: GPL-2.0-only
"""The matrix in pytest: a cell is a test, a worker has a lab host, the controller keeps results.

Loaded by ``pytest -p kvm.matrix.plugin``. Under xdist the process that collects nothing (the
controller) is notified of each cell's end and records it at once, so a killed run loses no
finished cell; without xdist the one process does both.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.host import labs
from kvm.matrix import live as display
from kvm.matrix import workloads
from kvm.matrix.attempts import Try, earlier, result
from kvm.matrix.cell import Cell
from kvm.matrix.cellrun import CellRunner
from kvm.matrix.durations import Durations, longest_first
from kvm.matrix.hosting import host_cpus, own_slot
from kvm.matrix.order import FILE, WorkOrder
from kvm.matrix.workbench import WorkerContext
from kvm.output.progress import Progress
from kvm.output.words import one_line
from kvm.project import Project
from kvm.results.model import Attempt, CellResult
from kvm.results.store import Store
from kvm.run import hosts
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

_PROPERTY = "matrix_cell"
_TEST = "test_cell"
_ORDER = pytest.StashKey[WorkOrder]()
_CRASHES = 2  # a cell whose worker dies this often is an ERROR


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for our command; users have those of ``./invoke test --matrix``."""
    group = parser.getgroup("matrix", "the test matrix (./invoke test --matrix)")
    group.addoption("--matrix-order", metavar="FILE", help="run the cells of this order.json")
    group.addoption("--matrix-plain", action="store_true", help="no live view on a terminal")


def pytest_configure(config: pytest.Config) -> None:
    """Register ``Cells`` where tests run, and ``Results`` in the one process that sees them all."""
    given = config.getoption("--matrix-order")
    if not given:
        return
    order = WorkOrder.read(Path(given))
    config.stash[_ORDER] = order
    config.pluginmanager.register(Cells(order), "matrix-cells")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(config, order), "matrix-results")


class Cells:
    """Makes the tests and runs them in a worker."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order
        self._stack = contextlib.ExitStack()
        self._around: WorkerContext | None = None
        self._cells = {cell.id: cell for cell in order.cells}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "cell" in metafunc.fixturenames:
            # The longest first, so that short ones fill the gaps at the end.
            cells = longest_first(self._cells.values(), Durations.read(Project.find()).of)
            metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])

    def pytest_sessionfinish(self) -> None:
        self._stack.close()

    @pytest.fixture
    def matrix_runner(self, request: pytest.FixtureRequest) -> Iterator[CellRunner]:
        if self._around is None:
            project = Project.find()
            slot = self._stack.enter_context(own_slot(project, self._order.slots))
            self._stack.callback(labs.stop, project, slot)
            progress = self._stack.enter_context(Progress(io.StringIO(), live=False))
            self._around = WorkerContext(
                project, slot, hosts.HostNotes(), progress, host_cpus(self._order.slots)
            )
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        yield CellRunner(self._order, self._around, worker)


def run_cell(request: pytest.FixtureRequest, runner: CellRunner, cell: Cell) -> None:
    """The body of ``test_cell``: translates the cell's verdict for pytest."""
    order = request.config.stash[_ORDER]
    result = runner.run(cell, workloads.find(cell.workload, order.user_workload))
    request.node.user_properties.append((_PROPERTY, json.dumps(result.to_json())))
    if result.verdict is Verdict.SKIP:
        pytest.skip(one_line(result.summary))
    if result.verdict in (Verdict.FAIL, Verdict.ERROR):
        pytest.fail(display.failure_text(result), pytrace=False)


class Results:
    """The controller's part: stores and shows each result."""

    def __init__(self, config: pytest.Config, order: WorkOrder) -> None:
        self._order = order
        self._cells = {cell.id: cell for cell in order.cells}
        self._store = Store.open(Project.find().results)
        self._resumed = Path(config.getoption("--matrix-order")).name != FILE
        self._kept = self._results_of_before() if self._resumed else []
        self._display = display.Display.choose(
            len(order.cells) + len(self._kept), plain=bool(config.getoption("--matrix-plain"))
        )
        self._crashes: dict[str, int] = {}

    def pytest_sessionstart(self) -> None:
        self._display.start()
        for kept in self._kept:
            self._display.keep(kept)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Take the tests left after ``-k`` and similar options, as each worker sees them."""
        self._plan(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Do the same without workers; a controller collects nothing itself."""
        if session.items:
            self._plan([item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if (cell := self._cell(nodeid)) is not None:
            self._display.begins(cell.id)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cell = self._cell(report.nodeid)
        if cell is None:
            return
        found = dict(report.user_properties).get(_PROPERTY)
        if report.when == "call" and isinstance(found, str):
            self._take(CellResult.from_json(json.loads(found)))
        elif report.outcome == "failed":
            self._take(self._error(cell, str(report.longrepr)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Let pytest count, but print our own lines."""
        if self._cell(report.nodeid) is None:
            return None
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            return "rerun", "", ""
        if report.when == "call" or report.outcome != "passed":
            return report.outcome, "", ""
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """A worker died while it ran a cell: let another one try again."""
        count = self._crashes[crashitem] = self._crashes.get(crashitem, 0) + 1
        if count < _CRASHES:
            sched.mark_test_pending(crashitem)
            report.outcome = "rerun"

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._display.stop()
        interrupted = int(exitstatus) == int(pytest.ExitCode.INTERRUPTED)
        self._store.end(self._order.number, time.time(), interrupted)
        self._store.close()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(self._display.closing())

    def _plan(self, nodeids: list[str]) -> None:
        chosen = {cell.id for nodeid in nodeids if (cell := self._cell(nodeid)) is not None}
        self._display.total = len(chosen) + len(self._kept)
        if not self._resumed and len(chosen) < len(self._cells):
            planned = [cell.id for cell in self._order.cells if cell.id in chosen]
            self._store.replan(self._order.number, planned)

    def _results_of_before(self) -> list[CellResult]:
        """The valid results of the earlier run that this one resumes."""
        found = self._store.cells(self._order.number)
        return [kept for cell, kept in found.items() if cell not in self._cells]

    def _take(self, result: CellResult) -> None:
        self._store.add(self._order.number, result)
        self._display.ended(result)

    def _cell(self, nodeid: str) -> Cell | None:
        name = nodeid.rpartition("::")[2]
        return self._cells.get(name.removeprefix(f"{_TEST}[").removesuffix("]"))

    def _error(self, cell: Cell, text: str) -> CellResult:
        """The worker died, or pytest could not run the cell; earlier failures still count."""
        outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, text.splitlines()[-1])
        lost = Try(Attempt(outcome.verdict, outcome.reason, outcome.summary), outcome)
        before: list[Try] = []
        with contextlib.suppress(UserError):
            before = earlier(self._order.folder / cell.id)
        failed = [one for one in before if one.attempt.verdict is Verdict.FAIL]
        return result(self._order, cell, [*failed, lost])
