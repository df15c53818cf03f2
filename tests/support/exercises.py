# SPDX-License-Identifier: GPL-2.0-only
"""Boots with ``tools/kvm/guest/exercise`` in the guest, and on the host at the same time."""

from __future__ import annotations

from kvm.guest.build import build_exercise
from kvm.guest.initramfs import ExtraFile
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, rundir
from kvm.run.boot import boot_built
from kvm.run.extras import RunExtras
from kvm.run.options import BootOptions
from kvm.run.spine import RunSite
from support.machines import Output, Run, on_a_host_that_lasts

PATIENCE = "EXERCISE_PATIENCE_S=500"


def beside(project: Project, options: BootOptions, *commands: tuple[str, ...]) -> Run:
    """Boot with ``exercise`` in the guest, and run these commands of it on the host meanwhile."""
    program = build_exercise(project)
    extras = RunExtras(
        files=(ExtraFile(program, "/bin/exercise"),),
        beside=tuple(("env", PATIENCE, str(program), *words) for words in commands),
    )

    def once() -> Run:
        output = Output()
        with Progress(live=False) as progress:
            record = boot_built(
                project,
                halves.build(project, progress),
                options,
                progress,
                output.streams,
                RunSite(rundir.create(project.runs)),
                extras,
            )
        return output.run(record)

    return on_a_host_that_lasts(once)
