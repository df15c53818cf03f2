# SPDX-License-Identifier: GPL-2.0-only
"""The ``test`` command: builds what the tests boot, then starts pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kvm.commands.words import TestWords
from kvm.errors import UserError, usage
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves, pytest_run
from kvm.spec.fields import options
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD

_MATRIX_ONLY = (
    *("axes", "workload", "shard", "list_only", "dry_run", "resume", "known_warnings", "json"),
)

_CONFIGS = ("default", "vfio")


def main(
    project: Project, progress: Progress, words: TestWords, extra: tuple[str, ...] = ()
) -> int:
    """Run all tests, the matrix, or the planted faults. ``extra`` words go to pytest."""
    if words.bisect_planted:
        from kvm.commands import bisect_planted

        return bisect_planted.run(project, progress, only=words.expression, json_target=words.json)
    if not (words.matrix or words.planted):
        with usage():
            _refuse_the_matrix_words(words)
        return run(
            project, progress, expression=words.expression, workers=words.workers, extra=extra
        )
    from kvm.commands import matrix, planted
    from kvm.matrix.select import Selection

    options = matrix.MatrixOptions(
        selection=Selection(
            words.subset, words.axes, words.expression, words.workload, words.shard
        ),
        list_only=words.list_only,
        dry_run=words.dry_run,
        resume=words.resume,
        reruns=words.reruns,
        workers=words.workers,
        json=words.json,
        extra=extra,
        known_warnings=words.known_warnings,
    )
    if words.planted:
        return planted.run(project, progress, options)
    return matrix.run(project, progress, options)


def _refuse_the_matrix_words(words: TestWords) -> None:
    """Refuse the matrix' options, which would otherwise be ignored silently."""
    for field, option in options(words).items():
        if field in _MATRIX_ONLY and getattr(words, field) != option.default:
            raise UserError(
                f"{option.flag} without --matrix", f"add --matrix, or leave out {option.flag}"
            )


def run(
    project: Project, progress: Progress, *, expression: str, workers: int, extra: tuple[str, ...]
) -> int:
    """Run pytest, by default all of ``tests/`` with one worker a core; return the exit code."""
    for config in configs(project, expression, extra):
        halves.build(project, progress, config=config)
    progress.close()
    argv = arguments(project, expression, workers or (os.cpu_count() or 1), extra)
    code = pytest_run.run(project, argv)
    if code in (EXIT_GOOD, EXIT_BAD):
        return code
    # For example, tests could not be collected: that proves nothing about the code.
    print(f"{pytest_run.NO_VERDICT}{code}", file=sys.stderr)
    return EXIT_CANNOT_TELL


def configs(project: Project, expression: str, extra: Sequence[str]) -> tuple[str, ...]:
    """The kernels to build first: all that tests boot, or ours alone for some of the tests.

    A test that builds a whole kernel keeps the build's lock meanwhile, and others wait for it.
    """
    some = bool(expression) or any(_is_path(project, word) for word in extra)
    return _CONFIGS[:1] if some else _CONFIGS


def arguments(
    project: Project, expression: str, workers: int, extra: Sequence[str]
) -> tuple[str, ...]:
    """pytest's arguments; paths among the words after ``--`` replace ``tests``."""
    paths = [w for w in extra if not w.startswith("-") and _is_path(project, w)]
    words = [] if paths else ["tests", "--durations=10", "--durations-min=30"]
    words += ["-k", expression] if expression else []
    # Tests that share something are a group, on one worker, so that none waits for another.
    words += ["-n", str(workers), "--dist", "loadgroup"] if workers > 1 else []
    return (*words, *extra)


def _is_path(project: Project, word: str) -> bool:
    return (project.root / word.split("::")[0]).exists()
