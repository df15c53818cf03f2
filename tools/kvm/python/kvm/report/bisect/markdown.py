# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as Markdown to paste into a mail: readable as plain text, tags start a line.

Text of others is in code blocks, which it cannot end, so subjects need no escapes that would show
in a mail. The sender adds who reports it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from kvm.bisect.model import Report
from kvm.output.words import clean, one_line
from kvm.report.bisect import grid as blame_grid
from kvm.report.bisect import path, sentences
from kvm.report.bisect.text import aligned, steps

_WIDTH = 76
_MAX_WORDS = 2000


def markdown(report: Report) -> str:
    """The whole report."""
    parts = (_found(report), _blame(report), _failure(report), _steps(report), _log(report))
    return "\n".join("\n".join(lines) + "\n" for part in parts if (lines := list(part)))


def fenced(lines: Iterable[str]) -> str:
    """A code block that its content can't end: the fence is longer than any in it."""
    body = "\n".join(lines)
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}\n{body}\n{fence}"


def _found(report: Report) -> Iterator[str]:
    yield f"## {sentences.headline(report)}\n"
    if report.first_bad is None:
        commits = report.candidates
        yield fenced(f"{commit.short} {one_line(commit.subject)}" for commit in commits)
        yield f"\n{sentences.narrowed(report)}"
    elif tag := sentences.fixes(report):
        yield fenced([tag])
        yield "\nAdd a `Reported-by:` of your own."
    else:
        yield fenced([f"{report.first_bad.short} {one_line(report.first_bad.subject)}"])
    yield f"\nConfidence: {sentences.confidence(report)}."


def _blame(report: Report) -> Iterator[str]:
    yield "## To blame\n"
    if report.blame is None:
        yield "Was not looked for."
        return
    blame = report.blame
    lines = textwrap.wrap(sentences.reasoning(blame), _WIDTH, break_long_words=False)
    yield f"**{sentences.label(blame)}**\n"
    yield fenced([*lines, *([f"patch: {one_line(blame.patch)}"] if blame.patch else [])])
    shown = blame_grid.grid(report)
    if shown is not None:
        rows = [
            ("", *shown.columns),
            *((row.name, *map(blame_grid.words, row.cells)) for row in shown.rows),
        ]
        head, *body = (f"| {line} |" for line in _columns(rows))
        rule = "|" + "---|" * (len(shown.columns) + 1)
        yield "\n" + "\n".join((head, rule, *body))
        yield f"\n{shown.legend}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows with columns aligned, so that the table can be read in a mail."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [" | ".join(map(str.ljust, row, widths)) for row in rows]


def _failure(report: Report) -> Iterator[str]:
    failure = report.failure
    yield f"## The failure, {sentences.often(failure)}\n"
    lines = [f"{failure.reason.value}: {one_line(failure.summary, _MAX_WORDS)}"]
    if failure.signature:
        lines.append(f"signature: {one_line(failure.signature, _MAX_WORDS)}")
    yield fenced([*lines, f"test: {one_line(report.test, _MAX_WORDS)}"])
    if report.repeat:
        yield "\nTo see it again:\n"
        yield fenced([clean(report.repeat)])


def _steps(report: Report) -> Iterator[str]:
    yield "## Steps\n"
    oldest, *_, newest = path.stops(report)
    ends = [
        (end.mark.value, end.commit.short, one_line(end.commit.subject)) for end in (oldest, newest)
    ]
    yield fenced([*aligned(ends), *([""] if report.steps else []), *steps(report)])
    yield f"\n{sentences.work(report)}."


def _log(report: Report) -> Iterator[str]:
    if report.log:
        yield "## git bisect log\n"
        yield fenced([clean(report.log).strip("\n")])
    if report.command:
        yield "\nFound by:\n"
        yield fenced([one_line(report.command, _MAX_WORDS)])
