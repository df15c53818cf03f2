# SPDX-License-Identifier: GPL-2.0-only
"""A timeline as text: a bar per stage, the slowest initcalls, marks. Times in ms and s.

Bars are Unicode blocks. No line is wider than ``width`` columns, and there are escape sequences
only with ``colour``.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kvm.report.timeline.chart import cut
from kvm.report.timeline.model import Timeline
from kvm.report.timeline.notes import source_words
from kvm.report.timeline.scale import Scale, words
from kvm.report.timeline.spans import Span

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_MAX_MARKS = 40
_MAX_NAME = 40
_TIME = 9
_LEAST_BAR = 6
_PLAIN, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_BLUE, _RED, _YELLOW, _GREEN = "\x1b[34m", "\x1b[31m", "\x1b[33m", "\x1b[32m"
_MARK_COLOURS = {"panic": _RED, "oops": _RED, "warn": _YELLOW, "init": _GREEN}


@dataclass(frozen=True, slots=True)
class _Line:
    """Pieces of text, each with its colour or ""."""

    pieces: tuple[tuple[str, str], ...]

    def text(self, width: int, colour: bool) -> str:
        shown, room = "", width
        for text, look in self.pieces:
            part = text[:room]
            room -= len(part)
            shown += f"{look}{part}{_PLAIN}" if colour and look and part.strip() else part
        return shown.rstrip()


def render(timeline: Timeline, *, width: int, colour: bool) -> str:
    """The text, newline-terminated."""
    width = max(width, 1)
    lines = [
        *_stages(timeline, width),
        *_initcalls(timeline, width),
        *_marks(timeline),
        *_notes(timeline, width),
    ]
    return "\n".join(line.text(width, colour) for line in lines) + "\n"


def _line(*pieces: tuple[str, str]) -> _Line:
    return _Line(pieces)


def _heading(words_: str) -> _Line:
    return _line((words_, _BOLD))


def _stages(timeline: Timeline, width: int) -> Iterator[_Line]:
    scale = Scale(timeline.start_s, timeline.end_s)
    yield _heading(f"Stages, {words(scale.seconds)} in all")

    def bar(span: Span, room: int) -> str:
        return _placed(scale.share(span.start_s), scale.share(span.end_s), room)

    yield from _bars(timeline.stages, width, bar)


def _initcalls(timeline: Timeline, width: int) -> Iterator[_Line]:
    if not timeline.slowest:
        return
    longest = max(span.seconds for span in timeline.slowest) or 1.0
    yield _line()
    yield _heading("Slowest initcalls")

    def bar(span: Span, room: int) -> str:
        return _length(span.seconds / longest, room)

    yield from _bars(timeline.slowest, width, bar)
    if timeline.short_count:
        rest = f"{timeline.short_count} below 1 ms took {words(timeline.short_s)} together"
        yield _line((rest, _DIM))


def _bars(spans: Sequence[Span], width: int, bar: Callable[[Span, int], str]) -> Iterator[_Line]:
    """Name, time, bar; the bar is left out if it would be too small to show anything."""
    widest = max((len(span.name) for span in spans), default=0)
    column = min(widest, _MAX_NAME, max(width - _TIME - _LEAST_BAR - 4, width // 2))
    room = width - column - _TIME - 4
    for span in spans:
        drawn = f"  {bar(span, room)}" if room >= _LEAST_BAR else ""
        name = cut(_narrow(span.name), column)
        is_open = span.kind == "unfinished"
        yield _line(
            (f"{name:<{column}}", _RED if is_open else ""),
            (f"  {words(span.seconds):>{_TIME}}", ""),
            (drawn, _RED if is_open else _BLUE),
        )
        if span.note:
            yield _line((f"  {_narrow(span.note)}", _RED if is_open else _DIM))


def _marks(timeline: Timeline) -> Iterator[_Line]:
    if not timeline.marks:
        return
    yield _line()
    yield _heading("Marks")
    for mark in timeline.marks[:_MAX_MARKS]:
        at = f"{words(mark.at_s):>{_TIME}}"
        look = _MARK_COLOURS.get(mark.kind, "")
        yield _line((f"{at}  ", ""), (f"{mark.kind:<5}", look), (f"  {_narrow(mark.name)}", ""))
    if len(timeline.marks) > _MAX_MARKS:
        yield _line((f"… {len(timeline.marks) - _MAX_MARKS} more", _DIM))


def _notes(timeline: Timeline, width: int) -> Iterator[_Line]:
    yield _line()
    for note in (source_words(timeline.source), *timeline.notes):
        for line in textwrap.wrap(note, width):
            yield _line((line, _DIM))


def _placed(start: float, end: float, room: int) -> str:
    """A bar from one fraction of the room to another; at least one character."""
    first = min(int(start * room), room - 1)
    cells = max(round(end * room) - first, 0)
    return " " * first + (_FULL * cells if cells else _EIGHTHS[1])


def _length(share: float, room: int) -> str:
    eighths = max(round(share * room * 8), 1)
    full, rest = divmod(eighths, 8)
    return _FULL * full + (_EIGHTHS[rest] if rest else "")


def _narrow(text: str) -> str:
    """The text with each character in one column, so that lengths are widths."""
    return "".join("?" if _is_odd(character) else character for character in text)


def _is_odd(character: str) -> bool:
    return bool(unicodedata.combining(character)) or (
        unicodedata.east_asian_width(character) in ("W", "F")
        or unicodedata.category(character) in ("Cc", "Mn", "Me", "Cf")
    )
