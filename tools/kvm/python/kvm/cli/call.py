# SPDX-License-Identifier: GPL-2.0-only
"""The code around every task's one call: find the project, show progress, turn errors into
messages and exit codes."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from invoke.exceptions import Exit

from kvm.errors import BuildError, UsageError, UserError
from kvm.output.progress import Progress
from kvm.output.words import clean
from kvm.project import Project
from kvm.verdict.vocabulary import EXIT_CANNOT_TELL, EXIT_USAGE


def exit_code_of(error: BaseException) -> int:
    """The exit code for an error that prevents a verdict; no other place maps them.

    125 makes ``git bisect run`` skip the revision, 128 and above make it stop.
    """
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_CANNOT_TELL


@contextlib.contextmanager
def command() -> Iterator[tuple[Project, Progress]]:
    """Run a task's call; a ``UserError`` or Ctrl-C becomes a message and an exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _as_interrupt)
    progress = Progress()
    try:
        with progress:
            yield Project.find(), progress
    except BuildError as failed:
        for line in failed.errors:
            print(clean(line), file=sys.stderr)
        raise Exit(f"error: {clean(str(failed))}", code=exit_code_of(failed)) from failed
    except UserError as wrong:
        raise Exit(f"error: {clean(str(wrong))}", code=exit_code_of(wrong)) from wrong
    except KeyboardInterrupt as stopped:
        raise Exit("interrupted", code=EXIT_CANNOT_TELL) from stopped


def finish(code: int) -> None:
    """End the process with ``code`` unless it is 0."""
    if code:
        raise Exit(code=code)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
