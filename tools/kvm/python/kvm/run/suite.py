# SPDX-License-Identifier: GPL-2.0-only
"""The ``test`` command: build what the tests boot, then hand over to pytest."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from kvm import process
from kvm.project import Project
from kvm.report.live import Progress
from kvm.run import halves

_INTERRUPT_GRACE_S = 20.0


def run(
    project: Project, progress: Progress, *, expression: str, workers: int, extra: tuple[str, ...]
) -> int:
    """Run pytest, by default all of ``tests/`` on one worker a core; its exit code."""
    halves.build(project, progress)
    progress.close()
    argv = arguments(project, expression, workers or (os.cpu_count() or 1), extra)
    with process.spawn((sys.executable, "-m", "pytest", *argv), cwd=project.root) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # pytest has its own way of ending: fixtures close hosts, and it says what is done.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)
            child.wait(_INTERRUPT_GRACE_S)
            raise


def arguments(
    project: Project, expression: str, workers: int, extra: Sequence[str]
) -> tuple[str, ...]:
    """pytest's arguments; paths among the words after ``--`` replace ``tests``."""
    paths = [w for w in extra if not w.startswith("-") and _is_path(project, w)]
    words = [] if paths else ["tests"]
    words += ["-k", expression] if expression else []
    # Tests that share a lab host are one group, so that no worker waits for another's.
    words += ["-n", str(workers), "--dist", "loadgroup"] if workers > 1 else []
    return (*words, *extra)


def _is_path(project: Project, word: str) -> bool:
    return (project.root / word.split("::")[0]).exists()
