# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke bisect`` and ``bisect-step``."""

from __future__ import annotations

from kvm.bisect.request import Request
from kvm.cli.derived import task
from kvm.commands.words import BisectWords, StepWords
from kvm.output.progress import Progress
from kvm.project import Project


def _bisect(project: Project, progress: Progress, wanted: Request, words: BisectWords) -> int:
    """Find the commit that broke a cell, a test or a command, and the half that is to blame.

    ./invoke bisect --good v1 --cell lab-vcpus2-mmio-blk_integrity
    ./invoke bisect --good v1 -- sh -c './invoke boot -- true'
    """
    from kvm.commands import bisect

    return bisect.main(project, progress, wanted, words)


def _bisect_step(project: Project, progress: Progress, words: StepWords) -> int:
    """Judge the checkout as it is, for git bisect run: 0 good, 1 the failure, 125 can't tell."""
    from kvm.commands import bisect_step

    return bisect_step.step(project, progress, words)


bisect = task(_bisect, Request, BisectWords)
bisect_step = task(_bisect_step, StepWords)
