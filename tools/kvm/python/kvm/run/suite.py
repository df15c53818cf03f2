# SPDX-License-Identifier: GPL-2.0-only
"""The ``test`` command: build what the tests boot, then hand over to pytest."""

from __future__ import annotations

import os
import sys

from kvm import process
from kvm.project import Project
from kvm.report.live import Progress
from kvm.run import halves


def run(
    project: Project, progress: Progress, *, expression: str, workers: int, extra: tuple[str, ...]
) -> int:
    """Run pytest on ``tests/``; its exit code."""
    halves.build(project, progress)
    progress.close()
    words = [sys.executable, "-m", "pytest", str(project.root / "tests")]
    words += ["-k", expression] if expression else []
    words += ["-n", str(workers)] if workers else []
    with process.spawn((*words, *extra), cwd=project.root, env=dict(os.environ)) as child:
        return child.wait()
