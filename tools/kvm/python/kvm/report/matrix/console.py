# SPDX-License-Identifier: GPL-2.0-only
"""The interesting part of a machine's console, with the telling lines marked.

It is pure except for ``read``, which gets the file's path from ``gather.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kvm.output.words import clean
from kvm.verdict.console import parse_console
from kvm.verdict.lines import LineSplitter

MAX_LINES = 400
MAX_BYTES = 4 << 20
_MAX_COLUMNS = 500
_CONTEXT = 6
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``is_gap``: its text says what is left out here."""

    number: int
    text: str
    marked: bool = False
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Console:
    """``path`` is the file with the whole console, relative to the checkout."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    path: str = ""

    @property
    def marked(self) -> int:
        return sum(row.marked for row in self.rows)


def read(path: Path, shown_as: str, telling: Iterable[str], limit: int = MAX_LINES) -> Console:
    """An excerpt of the console log; empty if there is no such file."""
    try:
        with path.open("rb") as log:
            skipped = _skip(log, path.stat().st_size - MAX_BYTES)
            data = log.read(MAX_BYTES)
    except OSError:
        return Console(path=shown_as)
    return excerpt(data, telling, first=skipped + 1, shown_as=shown_as, limit=limit)


def excerpt(
    data: bytes,
    telling: Iterable[str],
    *,
    first: int = 1,
    shown_as: str = "",
    limit: int = MAX_LINES,
) -> Console:
    """``telling`` are lines known as evidence; ``first`` is the number of the first line."""
    splitter = LineSplitter()
    lines = [*splitter.feed(data), *splitter.finish()]
    wanted = {line.strip() for line in telling if line.strip()}
    reported: set[int] = set()
    for finding in parse_console(data):
        reported.update(range(finding.first_line, finding.last_line + 1))
    rows = [
        Row(
            number=first - 1 + line.number,
            text=_fitting(line.text),
            marked=line.number in reported or line.text.strip() in wanted,
        )
        for line in lines
    ]
    total = rows[-1].number if rows else 0
    return Console(_with_gaps(rows, _chosen(rows, limit)), total, shown_as)


def _chosen(rows: Sequence[Row], limit: int) -> list[int]:
    """The indices to show: the marked lines with their context, and the tail."""
    if len(rows) <= limit:
        return list(range(len(rows)))
    chosen: set[int] = set()
    for index, row in enumerate(rows):
        if row.marked:
            chosen.update(range(max(index - _CONTEXT, 0), min(index + _CONTEXT + 1, len(rows))))
    # The first report is the most telling, the tail shows the end: each gets at least half.
    kept = set(sorted(chosen)[: limit // 2])
    last = len(rows)
    while len(kept) < limit and last > 0:
        last -= 1
        kept.add(last)
    return sorted(kept)


def _with_gaps(rows: Sequence[Row], chosen: Sequence[int]) -> tuple[Row, ...]:
    shown: list[Row] = []
    at = 1
    for index in chosen:
        row = rows[index]
        missing = row.number - at
        if missing > 0:
            shown.append(Row(0, f"… {missing} lines left out …", is_gap=True))
        shown.append(row)
        at = row.number + 1
    return tuple(shown)


def _fitting(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _MAX_COLUMNS else text[: _MAX_COLUMNS - 1] + "…"


def _skip(log: BinaryIO, count: int) -> int:
    """Skip this many bytes; return how many lines they contain."""
    lines = 0
    while count > 0:
        data = log.read(min(count, _CHUNK))
        if not data:
            break
        lines += data.count(b"\n")
        count -= len(data)
    return lines
