# SPDX-License-Identifier: GPL-2.0-only
"""The ``test`` command: build what the tests boot, then hand over to pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kvm.errors import UserError, usage
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, pytest_run
from kvm.run.options import read_known
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD


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
        from kvm.commands import bisect_planted as bisections

        return bisections.run(project, progress, only=k, json_target=words["json"])
    if not (matrix or planted):
        with usage():
            _refuse_the_matrix_words(words)
        return run(project, progress, expression=k, workers=n, extra=extra)
    from kvm.commands import matrix as command
    from kvm.commands import planted as planting
    from kvm.matrix import select

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
        known_warnings=_known(words["known_warnings"]),
    )
    if planted:
        return planting.run(project, progress, options)
    return command.run(project, progress, options)


def _known(file: str) -> KnownWarnings | None:
    with usage():
        return read_known(file)


def _refuse_the_matrix_words(words: Mapping[str, Any]) -> None:
    """They would be left out without a word."""
    for name in ("axis", "workload", "list", "dry_run", "resume", "known_warnings", "json"):
        if words[name]:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} without --matrix", f"add --matrix, or leave out {option}")


def run(
    project: Project, progress: Progress, *, expression: str, workers: int, extra: tuple[str, ...]
) -> int:
    """Run pytest, by default all of ``tests/`` on one worker a core; the exit code."""
    halves.build(project, progress)
    progress.close()
    argv = arguments(project, expression, workers or (os.cpu_count() or 1), extra)
    code = pytest_run.run(project, argv)
    if code in (EXIT_GOOD, EXIT_BAD):
        return code
    # Tests that could not be collected, say: that proves nothing of the code.
    print(f"{pytest_run.NO_VERDICT}{code}", file=sys.stderr)
    return EXIT_CANNOT_TELL


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
