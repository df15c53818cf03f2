# SPDX-License-Identifier: GPL-2.0-only
"""Starts pytest and sees it through: Ctrl-C reaches it, and it is never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from kvm import process
from kvm.project import Project

# Said on stderr, with pytest's exit code behind it.
NO_VERDICT = "no verdict: pytest ended with exit code "

_INTERRUPT_GRACE_S = 20.0
_INTERRUPTED = 2  # pytest.ExitCode.INTERRUPTED, without importing pytest


def run(project: Project, words: Sequence[str]) -> int:
    """pytest's exit code."""
    argv = (sys.executable, "-m", "pytest", *words)
    with process.spawn(argv, cwd=project.root) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # pytest has its own way of ending: fixtures close hosts, and it says what is done.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)
            child.wait(_INTERRUPT_GRACE_S)
            return _INTERRUPTED
