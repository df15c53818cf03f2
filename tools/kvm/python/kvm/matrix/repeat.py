# SPDX-License-Identifier: GPL-2.0-only
"""The command line that runs one cell again."""

from __future__ import annotations

import shlex

from kvm.matrix.cell import Cell


def repeat_command(cell: Cell, user_workload: str) -> str:
    """The command line that runs this cell alone."""
    if user_workload:
        axes = " ".join(
            f"--axis {axis}={value}" for axis, value in cell.axes.items() if axis != "workload"
        )
        return f"./invoke test --matrix {axes} --workload {shlex.quote(user_workload)}"
    return f"./invoke test --matrix --subset full -k {cell.id}"
