# SPDX-License-Identifier: GPL-2.0-only
"""A cell of the matrix, run by this checkout's harness on halves of other commits.

The test is fixed: at every step the workload, the guest's init and the judge are those of the
checkout where the command was typed. So a cell need not have existed when the commit was made,
and two steps differ only in the kernel and the VMM.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from kvm.bisect.model import Axis, Mix, Run
from kvm.bisect.subject import Built
from kvm.bisect.subjects.command import new_folder
from kvm.bisect.workplace import Workplace
from kvm.host import labs
from kvm.kernel.build import Kernel
from kvm.matrix import workloads
from kvm.matrix.cell import Cell
from kvm.matrix.cellrun import CellRunner
from kvm.matrix.hosting import LAB_CONFIGS, host_cpus
from kvm.matrix.order import WorkOrder
from kvm.matrix.repeat import repeat_command
from kvm.matrix.workbench import WorkerContext
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.halves import Halves
from kvm.run.hosts import HostNotes
from kvm.say import Say
from kvm.vm.build import Vmm

SLOT = "bisect"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one run of a cell."""

    host: Kernel
    guest: Kernel
    vmm: Vmm

    @property
    def key(self) -> str:
        return f"{self.host.id}|{self.guest.id}|{self.vmm.id}"


@dataclass(slots=True)
class CellSubject:
    """A cell as a test; each run has a folder in ``folder``."""

    workplace: Workplace
    cell: Cell
    folder: Path
    _notes: HostNotes = field(default_factory=HostNotes)

    @property
    def words(self) -> str:
        return self.cell.id

    @property
    def axes(self) -> tuple[Axis, ...]:
        parts = (Axis.HOST, Axis.GUEST, Axis.VMM)
        return tuple(
            axis
            for axis in parts
            if not (axis is Axis.HOST and self.cell.host == "native")
            and not (axis is Axis.VMM and self.workplace.external)
        )

    @property
    def paths(self) -> tuple[str, ...]:
        return self.workplace.paths

    def build(self, mix: Mix, say: Say) -> Built:
        guest = self.halves(mix.guest, self.cell.config, say).kernel
        host = self.halves(mix.host, LAB_CONFIGS.get(self.cell.host, "default"), say).kernel
        vmm = self.halves(mix.vmm, self.cell.config, say).vmm
        return self.ready(self.cell, Parts(host, guest, vmm), mix.guest[:12])

    def halves(self, commit: str, config: str, say: Say) -> Halves:
        return self.workplace.halves(commit, config, say)

    def ready(self, cell: Cell, parts: Parts, name: str) -> Built:
        """The run of ``cell`` with these parts."""
        return Built(
            key=f"{cell.id}|{parts.key}",
            name=name,
            run=lambda: self._run(cell, parts),
            kernel=parts.guest.id,
            vmm=parts.vmm.id,
        )

    def repeat(self, commit: str) -> str:
        return f"git checkout {commit[:12]} && {repeat_command(self.cell, '')}"

    def close(self) -> None:
        labs.stop(self.workplace.project, SLOT)

    def _run(self, cell: Cell, parts: Parts) -> Run:
        return run_cell(self.workplace.project, cell, parts, self.folder, self._notes)


def run_cell(project: Project, cell: Cell, parts: Parts, folder: Path, notes: HostNotes) -> Run:
    """Make one attempt at a cell, in a new folder below ``folder``, in a lab host of bisections."""
    order = WorkOrder(
        number=0,
        folder=new_folder(folder),
        cells=(cell,),
        vmm=parts.vmm,
        kernels={cell.config: parts.guest},
        reruns=0,
        lab_kernels={LAB_CONFIGS.get(cell.host, "default"): parts.host},
    )
    silent = Progress(io.StringIO(), live=False)
    context = WorkerContext(project, SLOT, notes, silent, host_cpus(1))
    result = CellRunner(order, context, "bisect").run(cell, workloads.find(cell.workload))
    return Run(
        result.verdict,
        result.reason,
        result.summary,
        result.signature,
        round(result.seconds, 3),
        result.run_dir,
    )
