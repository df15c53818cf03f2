# SPDX-License-Identifier: GPL-2.0-only
"""An SVG of bars on one axis, as wide as the space it gets.

Along the axis everything is in per cent, vertically in CSS pixels, so text keeps its size on every
screen. The names are a separate SVG, so that style.py can put them above the bars or, on a wide
screen, in a column beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvm.report.kit.tag import Markup, tag
from kvm.report.timeline.scale import Scale, tick_words, words
from kvm.report.timeline.spans import Mark, Span

_NAME_PX = 15
_THIN_PX, _TALL_PX, _GAP_PX = 9, 20, 4
_LINE_PX = 15
_MAX_NAME, _MAX_MARK = 34, 40
_PX_PER_CHARACTER = 6.6
_TYPICAL_PX = 600
_MAX_LABELS = 12
_MAX_LINES = 100
_SAME_S = 1e-9
_WORST_FIRST = ("panic", "oops", "warn", "init", "mark")


@dataclass(frozen=True, slots=True)
class Bar:
    """``look`` is the CSS class of its colour; ``label`` is inside the bar if it fits."""

    span: Span
    look: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the chart. ``tall`` ones are lanes with several bars."""

    name: str
    bars: tuple[Bar, ...]
    tall: bool = False
    detail: str = ""

    @property
    def height(self) -> int:
        return _NAME_PX + (_TALL_PX if self.tall else _THIN_PX) + _GAP_PX


def chart(scale: Scale, tracks: Sequence[Track], marks: Sequence[Mark], label: str) -> Markup:
    """The chart; marks outside the window are not drawn."""
    inside = _worst([mark for mark in marks if _is_inside(mark, scale)], _MAX_LINES)
    labelled = _stacked(_worst(inside, _MAX_LABELS), scale)
    top = len(labelled) * _LINE_PX + _LINE_PX + _GAP_PX
    bottom = top + sum(track.height for track in tracks)
    height = bottom + _LINE_PX + _GAP_PX
    names: list[Markup] = []
    bars: list[Markup] = []
    y = top
    for track in tracks:
        names.append(_name(track, y))
        bars += [_bar(bar, track, y + _NAME_PX, scale) for bar in track.bars]
        y += track.height
    plot = tag(
        "svg",
        _grid(scale, top, bottom),
        [_line(mark, top - _GAP_PX, bottom, scale) for mark in inside],
        bars,
        [_leader(mark, row, top, scale) for row, mark in enumerate(labelled)],
        _axis(scale, top - _GAP_PX - 4),
        _axis(scale, bottom + _LINE_PX - 3),
        [_label(mark, row, scale) for row, mark in enumerate(labelled)],
        class_="plot",
        height=height,
        role="img",
        aria_label=label,
    )
    return tag("div", tag("svg", names, class_="names", height=height), plot, class_="chart")


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def hover(span: Span) -> str:
    """All that is known of a span."""
    note = f"; {span.note}" if span.note else ""
    return f"{span.name}: {words(span.seconds)}, from {words(span.start_s)}{note}"


def _percent(share: float) -> str:
    return f"{share * 100:.3f}%"


def _worst(marks: Sequence[Mark], limit: int) -> list[Mark]:
    """The ``limit`` most telling ones, in order of time."""
    ranks = {kind: rank for rank, kind in enumerate(_WORST_FIRST)}
    chosen = sorted(marks, key=lambda mark: ranks.get(mark.kind, len(ranks)))[:limit]
    return sorted(chosen, key=lambda mark: mark.at_s)


def _is_inside(mark: Mark, scale: Scale) -> bool:
    return scale.start_s - _SAME_S <= mark.at_s <= scale.start_s + scale.seconds + _SAME_S


def _stacked(marks: Sequence[Mark], scale: Scale) -> list[Mark]:
    """The rows of the labels, chosen so that a label's line does not cross other labels.

    In the left half labels are to the right of their lines and the first is on top; in the right
    half it is the reverse.
    """
    left = [mark for mark in marks if not _is_right(mark, scale)]
    right = [mark for mark in marks if _is_right(mark, scale)]
    return [*left, *reversed(right)]


def _is_right(mark: Mark, scale: Scale) -> bool:
    return scale.share(mark.at_s) > 0.5


def _name(track: Track, y: int) -> Markup:
    detail = tag("tspan", f" {track.detail}", class_="soft") if track.detail else None
    look = "name lane" if track.tall else "name"
    return tag("text", cut(track.name, _MAX_NAME), detail, class_=look, x=0, y=y + 11)


def _bar(bar: Bar, track: Track, y: int, scale: Scale) -> Markup:
    start = scale.share(bar.span.start_s)
    width = scale.share(bar.span.end_s) - start
    tall = track.tall
    rect = tag(
        "rect",
        tag("title", hover(bar.span)),
        class_=f"bar-{'tall' if tall else 'thin'} {bar.look}",
        x=_percent(start),
        y=y,
        width=_percent(width),
        height=_TALL_PX if tall else _THIN_PX,
    )
    if not bar.label or width * _TYPICAL_PX < len(bar.label) * _PX_PER_CHARACTER:
        return rect
    # An SVG of its own clips what does not fit.
    words_inside = tag(
        "svg",
        tag("text", bar.label, x=3, y=14, class_="inside"),
        x=_percent(start),
        y=y,
        width=_percent(width),
        height=_TALL_PX,
    )
    return tag("g", rect, words_inside)


def _grid(scale: Scale, top: int, bottom: int) -> list[Markup]:
    places = [_percent(scale.share(at_s)) for at_s in scale.ticks()]
    return [
        tag("line", class_="grid-line", x1=x, x2=x, y1=top - _GAP_PX, y2=bottom) for x in places
    ]


def _axis(scale: Scale, y: int) -> list[Markup]:
    labels = []
    for at_s in scale.ticks():
        share = scale.share(at_s)
        place = {"x": _percent(share), "text_anchor": _anchor(share)}
        labels.append(tag("text", tick_words(at_s, scale), class_="tick", y=y, **place))
    return labels


def _anchor(share: float) -> str:
    return "start" if share < 0.04 else "end" if share > 0.94 else "middle"


def _line(mark: Mark, top: int, bottom: int, scale: Scale) -> Markup:
    title = tag("title", f"{mark.kind}: {mark.name}, at {words(mark.at_s)}")
    lines = [_upright(mark, top, bottom, scale, look) for look in ("mark-line", "mark-touch")]
    return tag("g", title, lines, class_=f"m-{mark.kind}")


def _leader(mark: Mark, row: int, top: int, scale: Scale) -> Markup:
    """The line from the label down to the chart."""
    line = _upright(mark, row * _LINE_PX, top - _GAP_PX, scale, "mark-line")
    return tag("g", line, class_=f"m-{mark.kind}")


def _upright(mark: Mark, top: int, bottom: int, scale: Scale, look: str) -> Markup:
    x = _percent(scale.share(mark.at_s))
    return tag("line", class_=look, x1=x, x2=x, y1=top, y2=bottom)


def _label(mark: Mark, row: int, scale: Scale) -> Markup:
    """The label, in its own row above the axis, on the side with more room."""
    is_right = _is_right(mark, scale)
    return tag(
        "text",
        cut(f"{mark.kind} {mark.name}", _MAX_MARK),
        class_=f"mark-label m-{mark.kind}",
        x=_percent(scale.share(mark.at_s)),
        dx=-4 if is_right else 4,
        y=row * _LINE_PX + 11,
        text_anchor="end" if is_right else "start",
    )
