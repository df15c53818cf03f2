# SPDX-License-Identifier: GPL-2.0-only
"""Starts pytest and waits for it: Ctrl-C reaches it, and it is never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from kvm import process
from kvm.project import Project

# Printed on stderr, followed by pytest's exit code.
NO_VERDICT = "no verdict: pytest ended with exit code "

_INTERRUPT_GRACE_S = 20.0
_INTERRUPTED = 2  # pytest.ExitCode.INTERRUPTED, without importing pytest


def run(project: Project, words: Sequence[str]) -> int:
    """Run pytest and return its exit code."""
    argv = (sys.executable, "-m", "pytest", *words)
    with process.spawn(argv, cwd=project.root) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # pytest ends in its own way: fixtures close hosts, and it reports what is done.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)
            child.wait(_INTERRUPT_GRACE_S)
            return _INTERRUPTED
