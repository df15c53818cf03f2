# SPDX-License-Identifier: GPL-2.0-only
"""A report as a table on a terminal, as plain lines elsewhere, or as JSON."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kvm.doctor.model import Check, Report, State

_COLOUR = {State.OK: "green", State.WARN: "yellow", State.BAD: "bold red"}


def show(report: Report, out: TextIO | None = None) -> int:
    """Print the report; return the process exit code."""
    stream = out if out is not None else sys.stdout
    if stream.isatty():
        Console(file=stream).print(table(report))
    else:
        stream.write(plain(report))
    return report.exit_code


def text(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(report.to_json(), indent=2) + "\n"


def plain(report: Report) -> str:
    """One line a check with its hint below; greppable, without colours."""
    lines = [line for check in report.checks for line in _plain_check(check)]
    return "\n".join([*lines, *_closing(report)]) + "\n"


def table(report: Report) -> Table:
    """The report as a table for a terminal."""
    grid = Table(box=None, show_header=False, pad_edge=False, caption_justify="left")
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for check in report.checks:
        detail = Text(check.detail)
        if check.hint:
            detail.append(f"\n→ {check.hint}", style="cyan")
        grid.add_row(Text(check.state.value, style=_COLOUR[check.state]), check.name, detail)
    grid.caption = Text("\n".join(["", *_closing(report)]))
    return grid


def _plain_check(check: Check) -> list[str]:
    first = f"{check.state.value:<4}  {check.name}: {check.detail}"
    return [first, f"      → {check.hint}"] if check.hint else [first]


def _closing(report: Report) -> list[str]:
    bad = [check.name for check in report.checks if check.state is State.BAD]
    verdict = f"fix first: {', '.join(bad)}" if bad else "build-and-boot can work here"
    return [f"host auto: {report.host_choice} ({report.why})", verdict]
