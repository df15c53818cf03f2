# SPDX-License-Identifier: GPL-2.0-only
"""The run as KTAP: a case for each cell with its checks below; comments say why it failed.

A FLAKY cell is ``not ok ... # ERROR flaky``: it did fail, and a reader of KTAP must not take
the run as clean. A planned cell without a result is a SKIP.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from kvm.output.words import one_line
from kvm.report.matrix.view import View
from kvm.report.matrix.why import why
from kvm.results.model import CellResult
from kvm.verdict.ktap import Case, Report, Status, write
from kvm.verdict.vocabulary import Reason, Verdict

_STATUS = {
    Verdict.PASS: Status.PASS,
    Verdict.FAIL: Status.FAIL,
    Verdict.FLAKY: Status.ERROR,
    Verdict.ERROR: Status.ERROR,
    Verdict.SKIP: Status.SKIP,
}
# A comment must not begin like this: with kselftest's nesting it would become a result.
_RESULT_LIKE = re.compile(r"(?:#\s*)*(?:ok\b|not ok\b|K?TAP version|1\.\.|Bail out!)")


def ktap(view: View) -> str:
    """The whole report."""
    return report([_cell(result) for result in view.cells.values()], view.missing)


def report(cases: Iterable[Case], missing: Iterable[str] = ()) -> str:
    """A report of cases whose text may be a guest's; ``missing`` names those without a result."""
    ended = [Case(name, Status.SKIP, "the run ended before it") for name in missing]
    return write(Report(tuple(map(_plain, (*cases, *ended)))))


def _cell(result: CellResult) -> Case:
    is_good = result.verdict is Verdict.PASS
    note = "" if is_good else result.summary
    comments: list[str] = []
    if not is_good:
        comments += why(result)
        comments += [f"repeat: {result.repeat}"] if result.repeat else []
    if result.verdict is Verdict.FLAKY:
        note = f"flaky: {note}"
    elif result.verdict is Verdict.ERROR and result.reason is not Reason.NONE:
        note = f"{result.reason.value}: {note}"
    return Case(result.cell, _STATUS[result.verdict], note, tuple(comments), result.checks)


def _plain(case: Case) -> Case:
    """The case with each part on one line, so that no guest's text adds lines to the report."""
    return dataclasses.replace(
        case,
        name=one_line(case.name),
        note=one_line(case.note),
        comments=tuple(_comments(case.comments)),
        children=tuple(_plain(child) for child in case.children),
    )


def _comments(comments: Iterable[str]) -> Iterable[str]:
    for comment in comments:
        line = one_line(comment)
        if line:
            yield f"| {line}" if _RESULT_LIKE.match(line) else line
