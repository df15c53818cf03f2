# SPDX-License-Identifier: GPL-2.0-only
"""The ``test`` command: build what the tests boot, then hand over to pytest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kvm.project import Project
from kvm.report.live import Progress
from kvm.run import halves, pytest_run


def main(
    project: Project,
    progress: Progress,
    *,
    k: str,
    n: int,
    matrix: bool,
    planted: bool,
    bisect_planted: bool,
    extra: tuple[str, ...],
    **words: Any,
) -> int:
    """The command from its words: all tests, the matrix, or what is planted to be found."""
    if bisect_planted:
        from kvm.bisect import planted as bisections

        return bisections.run(project, progress, only=k, json_target=words["json"])
    if not (matrix or planted):
        return run(project, progress, expression=k, workers=n, extra=extra)
    from kvm.matrix import command, select
    from kvm.matrix import planted as planting

    options = command.MatrixOptions(
        selection=select.Selection(
            words["subset"], tuple(words["axis"] or ()), k, words["workload"]
        ),
        list_only=words["list"],
        dry_run=words["dry_run"],
        resume=words["resume"],
        reruns=words["reruns"],
        workers=n,
        json=words["json"],
        extra=extra,
    )
    if planted:
        return planting.run(project, progress, options)
    return command.run(project, progress, options)


def run(
    project: Project, progress: Progress, *, expression: str, workers: int, extra: tuple[str, ...]
) -> int:
    """Run pytest, by default all of ``tests/`` on one worker a core; its exit code."""
    halves.build(project, progress)
    progress.close()
    argv = arguments(project, expression, workers or (os.cpu_count() or 1), extra)
    return pytest_run.run(project, argv)


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
