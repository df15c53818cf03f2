# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke test --matrix``: selects, builds, passes the cells to pytest, and reports."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm import command_line
from kvm.commands.report import render
from kvm.errors import UserError, usage
from kvm.lock import holder, locked
from kvm.matrix import hosting, plan, prepare, workloads
from kvm.matrix.cell import Cell
from kvm.matrix.durations import Durations
from kvm.matrix.order import FILE, WorkOrder
from kvm.matrix.select import USER_WORKLOAD, Selection, select
from kvm.matrix.shard import Shard
from kvm.output import targets
from kvm.output.progress import Progress
from kvm.output.targets import STDOUT, Outputs
from kvm.project import Project
from kvm.report.closing import tell_unseen
from kvm.results.store import Store
from kvm.results.verdict import exit_code
from kvm.run import pytest_run
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import EXIT_CANNOT_TELL, EXIT_GOOD

# pytest.ExitCode, which is slow to import.
_PYTEST_DONE = (0, 1)
_PYTEST_FAILED = (3, 4, 5)
_TESTS = "tests/matrix/test_matrix.py"


@dataclass(frozen=True, slots=True)
class MatrixOptions:
    """The user's options. ``workers`` of 0 means as many as fit; targets are files or ``-``."""

    selection: Selection
    list_only: bool = False
    dry_run: bool = False
    resume: bool = False
    reruns: int = 3
    workers: int = 0
    json: str = ""
    extra: tuple[str, ...] = ()
    known_warnings: KnownWarnings | None = None


def run(project: Project, progress: Progress, options: MatrixOptions) -> int:
    """Run the matrix; return 0 if all is good, 1 for a failure, 125 for an unknown result."""
    with usage():
        _check(options)
    left = prepare.left(project) if options.resume else None
    cells = left.cells if left else chosen_cells(project, options.selection)
    if options.list_only:
        workload = left.before.user_workload if left else options.selection.workload
        print(listing(cells, workload))
        return EXIT_GOOD
    workers = hosting.workers_that_fit(options.workers)
    if options.dry_run:
        print(_dry_run(cells, workers))
        return EXIT_GOOD
    with _alone(project), targets.opened(options.json) as out:
        if left:
            order = prepare.resume(project, progress, left, workers=workers)
        else:
            order = _new_order(project, progress, options, cells, workers)
        progress.close()
        if not order.cells:
            prepare.close(project, order)
            return out.exit_code(_conclude(project, order, options, EXIT_GOOD, out))
        code = pytest_run.run(project, _pytest_words(order, options))
        return out.exit_code(_conclude(project, order, options, code, out))


def _check(options: MatrixOptions) -> None:
    if options.reruns < 0:
        raise UserError(f"--reruns {options.reruns}", "give 0 or more")
    wanted = options.selection
    if wanted.shard:
        Shard.parse(wanted.shard)
    chosen = {
        "-k": wanted.expression,
        "--axis": wanted.axes,
        "--workload": wanted.workload,
        "--shard": wanted.shard,
        "--known-warnings": options.known_warnings,
    }
    for name, given in chosen.items():
        if options.resume and given:
            raise UserError(
                f"--resume with {name}: the run goes on as it was begun",
                f"leave out {name}, or start a new run without --resume",
            )


def chosen_cells(project: Project, selection: Selection) -> tuple[Cell, ...]:
    """The selected cells of the plan; a user's own workload is checked."""
    if selection.workload:
        with usage():
            workloads.find(USER_WORKLOAD, selection.workload)
    names = (*workloads.known(), USER_WORKLOAD)
    known = plan.load(project.root / "tests" / "matrix.toml", names)
    with usage():
        chosen = select(known, selection)
    if not chosen:
        # No usage error: other revisions may have such cells.
        raise UserError(
            f"no cell has -k {selection.expression!r}",
            "see ./invoke test --matrix --list, or take a larger --subset",
        )
    if selection.shard:
        return Shard.parse(selection.shard).share(chosen, Durations.read(project).of)
    return chosen


def listing(cells: Sequence[Cell], workload: str) -> str:
    """One cell a line, with what its workload proves."""
    width = max((len(cell.id) for cell in cells), default=0)
    lines = [f"{c.id:{width}}  {workloads.find(c.workload, workload).proves}" for c in cells]
    return "\n".join([*lines, f"{len(cells)} cells"])


def _dry_run(cells: Sequence[Cell], workers: int) -> str:
    configs = dict.fromkeys(c for cell in cells for c in hosting.configs_of(cell.host, cell.config))
    return (
        f"builds: the VMM, and the kernel with config {', '.join(configs)}\n"
        f"runs:   {len(cells)} cells on {workers} workers, each with a lab host"
    )


@contextlib.contextmanager
def _alone(project: Project) -> Iterator[None]:
    """Refuse a second run: both would share cores and memory, and their timings mean nothing."""
    lock = project.build / "matrix" / "lock"
    if (who := holder(lock)) is not None:
        raise UserError(f"the matrix is being run by {who}", "wait for it, or stop it")
    with locked(lock, "a matrix run", wait_s=1.0, say=lambda text: None):
        yield


def _new_order(
    project: Project,
    progress: Progress,
    options: MatrixOptions,
    cells: tuple[Cell, ...],
    workers: int,
) -> WorkOrder:
    vmm, kernels = prepare.build(project, progress, cells)
    wanted = WorkOrder(
        cells,
        vmm,
        kernels,
        reruns=options.reruns,
        user_workload=options.selection.workload,
        slots=workers,
        known_warnings=options.known_warnings,
    )
    chosen = options.selection
    return prepare.open_run(
        project,
        wanted,
        subset=chosen.subset if not chosen.workload else "",
        shard=chosen.shard,
        command=command_line.typed(),
    )


def _pytest_words(order: WorkOrder, options: MatrixOptions) -> tuple[str, ...]:
    file = order.folder / (prepare.RESUMED if options.resume else FILE)
    words = ["-p", "kvm.matrix.plugin", f"--matrix-order={file}", "-q", "--no-header", "-rN"]
    if order.slots > 1 and "--pdb" not in options.extra:
        # Each free worker gets one cell at a time: their lengths differ much.
        words += ["-n", str(order.slots), "--dist", "load", "--maxschedchunk", "1"]
    return (_TESTS, *words, *options.extra)


def _conclude(
    project: Project, order: WorkOrder, options: MatrixOptions, code: int, out: Outputs
) -> int:
    with Store.open(project.results) as store:
        found, run = store.cells(order.number), store.run(order.number)
    if not code and not options.selection.shard:
        tell_unseen(order.known_warnings, found.values())
    page = str(project.build / "report.html")
    for path in render(project, run=order.number, html=page, json=options.json, put=out.put):
        if path != STDOUT:
            print(f"report: {_short(project, Path(path))}", file=sys.stderr)
    if code in _PYTEST_FAILED or (code and not found):
        return EXIT_CANNOT_TELL
    # However pytest ended, nothing is known of a cell without a result.
    unreached = set(run.planned if run else ()) - found.keys()
    return exit_code(found.values(), whole=not unreached and code in _PYTEST_DONE)


def _short(project: Project, path: Path) -> Path:
    return path.relative_to(project.root) if path.is_relative_to(project.root) else path
