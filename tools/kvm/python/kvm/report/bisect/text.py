# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as plain text for a terminal: first what was found, then how."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from kvm.bisect.model import Commit, Report, Step
from kvm.output.words import clean, one_line
from kvm.report.bisect import grid as blame_grid
from kvm.report.bisect import sentences
from kvm.report.bisect.grid import Grid

_WIDTH = 100
_MAX_SUBJECT = 60
_MAX_WHY = 120
_MAX_WORDS = 2000


def text(report: Report) -> str:
    """The report, newline-terminated, without escape sequences."""
    parts = [
        _found(report),
        _blame(report),
        _table(report),
        steps(report),
        _failure(report),
        _rest(report),
    ]
    return "\n".join("\n".join(lines) + "\n" for part in parts if (lines := list(part)))


def table(shown: Grid) -> list[str]:
    """The table's lines, with aligned columns."""
    rows = [("", *shown.columns)]
    rows += [(row.name, *map(blame_grid.words, row.cells)) for row in shown.rows]
    return aligned(rows)


def steps(report: Report) -> list[str]:
    """One line for each step."""
    return aligned([_step(number, step) for number, step in enumerate(report.steps, 1)])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two blanks apart; the last is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _step(number: int, step: Step) -> tuple[str, ...]:
    subject = one_line(step.commit.subject, _MAX_SUBJECT)
    return (
        f"{number:>2}",
        step.decision.mark.value,
        step.commit.short,
        f"{step.left} left",
        blame_grid.took(step.decision),
        f"{subject}: {one_line(step.decision.why, _MAX_WHY)}",
    )


def _found(report: Report) -> Iterator[str]:
    if report.first_bad is not None:
        commit = report.first_bad
        yield f"{sentences.headline(report)}: {_named(commit)}"
        facts = (commit.author, commit.date, _touches(commit))
        yield "  " + ", ".join(one_line(fact) for fact in facts if fact)
        return
    yield f"{sentences.headline(report)}:"
    yield from (f"  {_named(commit)}" for commit in report.candidates)
    yield from _wrapped(sentences.narrowed(report), indent="")


def _blame(report: Report) -> Iterator[str]:
    if report.blame is None:
        return
    blame = report.blame
    yield f"To blame: {sentences.label(blame)}"
    yield from _wrapped(sentences.reasoning(blame))
    if blame.patch:
        yield f"  the patch: {one_line(blame.patch)}"


def _table(report: Report) -> Iterator[str]:
    shown = blame_grid.grid(report)
    if shown is not None:
        yield from (f"  {line}" for line in table(shown))
        yield from _wrapped(shown.legend)


def _failure(report: Report) -> Iterator[str]:
    failure = report.failure
    yield f"The failure, {sentences.often(failure)}: {failure.reason.value}"
    yield from _wrapped(one_line(failure.summary, _MAX_WORDS))
    if failure.signature:
        yield from _wrapped(f"signature: {one_line(failure.signature, _MAX_WORDS)}")


def _rest(report: Report) -> Iterator[str]:
    yield f"Confidence: {sentences.confidence(report)}"
    yield f"Work: {sentences.work(report)}"
    yield f"Test: {one_line(report.test, _MAX_WORDS)}"
    if report.repeat:
        yield "To see it again:"
        yield from (f"  {line}" for line in clean(report.repeat).split("\n"))


def _named(commit: Commit) -> str:
    return f"{commit.short} {one_line(commit.subject)}"


def _touches(commit: Commit) -> str:
    touched = sentences.touched(commit)
    return f"touches {touched}" if touched else ""


def _wrapped(words: str, indent: str = "  ") -> Iterable[str]:
    return textwrap.wrap(
        words,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
