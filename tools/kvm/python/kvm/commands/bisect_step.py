# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke bisect-step``: one revision's mark, for ``git bisect run`` in the user's checkout.

The checkout is built as it is, and the cell is run until the mark is clear. Exit code 0: good;
1: the failure that is searched for; 125: anything else.
"""

from __future__ import annotations

from kvm.bisect.confidence import Sequential, error_of_each
from kvm.bisect.decide import verdict_of
from kvm.bisect.model import Failure, Mark, Run
from kvm.bisect.subjects.cell import SLOT, Parts, run_cell
from kvm.commands.bisect import find_cell
from kvm.commands.words import StepWords
from kvm.errors import usage
from kvm.host import labs
from kvm.kernel.build import Kernel
from kvm.matrix import prepare
from kvm.matrix.hosting import LAB_CONFIGS
from kvm.output.progress import Progress
from kvm.output.words import one_line
from kvm.project import Project
from kvm.run import hosts
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD, Reason, Verdict

_ANSWERS = 12  # steps of a typical bisection, all of which must be right


def step(project: Project, progress: Progress, options: StepWords) -> int:
    """Build, run, and print the revision's mark; return the exit code for git."""
    with usage():
        options.check()
    cell = find_cell(project, options.cell)
    vmm, kernels = prepare.build(project, progress, (cell,))
    guest, host = kernels[cell.config], kernels[LAB_CONFIGS.get(cell.host, "default")]
    if not isinstance(guest, Kernel) or not isinstance(host, Kernel):
        print("skip: a kernel does not build")
        return EXIT_CANNOT_TELL
    parts, notes = Parts(host, guest, vmm), hosts.HostNotes()
    folder = project.build / "bisect" / "step"
    runs: list[Run] = []
    try:
        while (found := _found(options, runs)) is None:
            with progress.phase(f"run {len(runs) + 1}"):
                runs.append(run_cell(project, cell, parts, folder, notes))
    finally:
        labs.stop(project, SLOT)
    progress.close()
    mark, why = found
    print(f"{mark.value}: {one_line(why)}")
    if mark is Mark.BAD and not options.signature:
        print(
            f"the same failure again: --reason {runs[-1].reason.value} "
            f"--signature {runs[-1].signature!r}"
        )
    return {Mark.GOOD: EXIT_GOOD, Mark.BAD: EXIT_BAD}.get(mark, EXIT_CANNOT_TELL)


def _found(options: StepWords, runs: list[Run]) -> tuple[Mark, str] | None:
    """The mark from the runs so far; None if one more is needed."""
    always = options.rate == 1
    bad = (Verdict.FAIL,) if always else (Verdict.FAIL, Verdict.FLAKY)
    failed = next((run for run in runs if run.verdict in bad), None)
    reason = Reason(options.reason) if options.reason else failed.reason if failed else Reason.NONE
    summary = failed.summary if failed else ""
    failure = Failure(reason, options.signature, summary, options.rate, always)
    error = error_of_each(options.confidence, _ANSWERS)
    test = Sequential.steady(error) if always else Sequential.measured(options.rate, error)
    return verdict_of(failure, test, runs)
