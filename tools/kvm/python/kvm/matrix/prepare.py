# SPDX-License-Identifier: GPL-2.0-only
"""Prepares a run: builds every kernel that its cells need, once, and enters it in the store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.errors import BuildError, UserError
from kvm.kernel.build import Kernel
from kvm.matrix.cell import Cell
from kvm.matrix.hosting import configs_of
from kvm.matrix.order import FILE, BuildFailure, WorkOrder
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.results.model import MatrixRun
from kvm.results.store import Store
from kvm.run import halves, revision
from kvm.verdict.vocabulary import Verdict
from kvm.vm.build import Vmm

# The order of the remaining cells; the run's own order does not change.
RESUMED = "resume.json"
_KEPT_FOLDERS = 12  # the consoles and specs of as many runs are kept


def build(
    project: Project, progress: Progress, cells: Iterable[Cell]
) -> tuple[Vmm, dict[str, Kernel | BuildFailure]]:
    """The VMM and the kernel of each config; a kernel that does not build is a finding.

    Raises ``BuildError`` if the VMM does not build, or no kernel does.
    """
    wanted = [config for cell in cells for config in configs_of(cell.host, cell.config)]
    kernels: dict[str, Kernel | BuildFailure] = {}
    vmm: Vmm | None = None
    failed: BuildError | None = None
    for config in dict.fromkeys(wanted):
        try:
            both = halves.build(project, progress, config=config)
        except BuildError as broken:
            progress.note(f"kernel config {config}: {broken.message}")
            kernels[config] = BuildFailure(broken.message, broken.errors)
            failed = broken
            continue
        vmm, kernels[config] = both.vmm, both.kernel
    if vmm is None:
        assert failed is not None
        raise failed
    return vmm, kernels


def open_run(
    project: Project, wanted: WorkOrder, *, subset: str, command: str, shard: str = ""
) -> WorkOrder:
    """Enter a new run in the store and make its folder; ``wanted`` is its order without these."""
    with Store.open(project.results) as store:
        number = store.begin(
            MatrixRun(
                number=0,
                started=time.time(),
                planned=tuple([cell.id for cell in wanted.cells]),
                subset=subset,
                shard=shard,
                command=command,
                commit=revision.present(project),
                vmm_id=wanted.vmm.id,
                kernels={name: k.id for name, k in wanted.kernels.items() if isinstance(k, Kernel)},
            )
        )
        store.prune()
    folder = project.build / "matrix" / str(number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _prune(folder.parent)
    order = replace(wanted, number=number, folder=folder)
    order.write()
    return order


@dataclass(frozen=True, slots=True)
class Left:
    """The rest of a run: ``cells`` are those left of the order with which it began."""

    run: MatrixRun
    before: WorkOrder
    cells: tuple[Cell, ...]


def left(project: Project) -> Left:
    """The rest of the newest unfinished run. Raises ``UserError`` if there is none.

    These are the chosen cells without a verdict; a failure is a verdict.
    """
    with Store.open(project.results) as store:
        run = store.last_unfinished()
        done = store.cells(run.number) if run is not None else {}
    if run is None:
        raise UserError("no interrupted run to go on with", "leave out --resume")
    before = WorkOrder.read(project.build / "matrix" / str(run.number) / FILE)
    told = {cell for cell, result in done.items() if result.verdict is not Verdict.ERROR}
    wanted = set(run.planned) - told
    return Left(run, before, tuple(cell for cell in before.cells if cell.id in wanted))


def resume(project: Project, progress: Progress, left: Left, *, workers: int) -> WorkOrder:
    """An order with the same kernels and VMM. Raises ``UserError`` if the code has changed."""
    run, before = left.run, left.before
    vmm, kernels = build(project, progress, before.cells)
    _same_code(run, vmm, kernels)
    done = len(run.planned) - len(left.cells)
    progress.note(f"run {run.number}: {done} cells are done already")
    order = replace(before, cells=left.cells, vmm=vmm, kernels=kernels, slots=workers)
    order.write(RESUMED)
    return order


def close(project: Project, order: WorkOrder) -> None:
    """Close a run that has no cells left."""
    with Store.open(project.results) as store:
        store.end(order.number, time.time())


def _same_code(run: MatrixRun, vmm: Vmm, kernels: dict[str, Kernel | BuildFailure]) -> None:
    now = {name: k.id for name, k in kernels.items() if isinstance(k, Kernel)}
    if vmm.id != run.vmm_id or now != dict(run.kernels):
        half = "VMM" if vmm.id != run.vmm_id else "kernel"
        raise UserError(
            f"the {half} has changed since run {run.number} was interrupted",
            "start a new run without --resume, or bring the code back to what it was",
        )


def _prune(folder: Path) -> None:
    runs = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    for old in runs[:-_KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
