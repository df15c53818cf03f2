# SPDX-License-Identifier: GPL-2.0-only
"""Why a cell did not pass, as lines of plain text, which each renderer escapes."""

from __future__ import annotations

from kvm.output.words import clean
from kvm.results.model import CellResult
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Verdict

_MAX_CHECKS = 50
_MAX_LINES = 80  # of each piece of evidence


def why(result: CellResult) -> list[str]:
    """The reason and summary, the failed checks, and the evidence."""
    lines = [f"{result.reason.value}: {result.summary}"]
    failing = [line for case in result.checks for line in _failing(case, "")]
    lines += failing[:_MAX_CHECKS]
    if len(failing) > _MAX_CHECKS:
        lines.append(f"... and {len(failing) - _MAX_CHECKS} more checks that failed")
    for item in result.evidence:
        lines += [f"{item.kind}:", *(f"  {line}" for line in item.lines[:_MAX_LINES])]
        if len(item.lines) > _MAX_LINES:
            lines.append(f"  ... {len(item.lines) - _MAX_LINES} more lines")
    return [piece for line in lines for piece in clean(line).split("\n")]


def _failing(case: Case, above: str) -> list[str]:
    name = f"{above}/{case.name}" if above else case.name
    if case.children:
        return [line for child in case.children for line in _failing(child, name)]
    if case.status.verdict in (Verdict.PASS, Verdict.SKIP):
        return []
    return [f"not ok {name}" + (f": {case.note}" if case.note else "")]
