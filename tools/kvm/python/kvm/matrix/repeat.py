# SPDX-License-Identifier: GPL-2.0-only
"""The command line that runs one cell again."""

from __future__ import annotations

import shlex

from kvm.matrix.cell import Cell
from kvm.verdict.known import KnownWarnings


def repeat_command(cell: Cell, user_workload: str, known: KnownWarnings | None = None) -> str:
    """The command line that runs this cell alone."""
    words = ["./invoke", "test", "--matrix"]
    if user_workload:
        axes = ((axis, value) for axis, value in cell.axes.items() if axis != "workload")
        words += [word for axis, value in axes for word in ("--axis", f"{axis}={value}")]
        words += ["--workload", user_workload]
    else:
        words += ["--subset", "full", "-k", cell.id]
    words += [f"--known-warnings={known.path}"] if known else []
    return shlex.join(words)
