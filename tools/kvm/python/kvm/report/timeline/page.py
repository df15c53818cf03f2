# SPDX-License-Identifier: GPL-2.0-only
"""A timeline as one page: it loads nothing, runs no script, and a guest can't add one.

Times on the page are in ms and s; zero is the decision to start the VMM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kvm.output.words import one_line, plural
from kvm.report.kit.marks import code, folded
from kvm.report.kit.marks import facts as fact_list
from kvm.report.kit.style import STYLE as SHARED_STYLE
from kvm.report.kit.tag import Markup, tag
from kvm.report.timeline.chart import Bar, Track, chart
from kvm.report.timeline.model import LONG_S, Timeline
from kvm.report.timeline.notes import source_words
from kvm.report.timeline.scale import Scale, words
from kvm.report.timeline.spans import Mark, Span
from kvm.report.timeline.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MAX_ROWS = 300
_MAX_LEVELS = 64
_MAX_MARKS = 200
_MAX_TITLE = 200


def render(timeline: Timeline, *, title: str, facts: Mapping[str, str]) -> str:
    """The page as text. ``facts`` are name and value pairs for its head."""
    shown_title = one_line(title, _MAX_TITLE)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", shown_title),
        tag("style", Markup(SHARED_STYLE + STYLE)),
    )
    header = tag(
        "header",
        tag("h1", shown_title),
        fact_list({"events": timeline.source, **_bounded(facts)}),
        _notes(timeline),
    )
    main = tag(
        "main",
        tag("h2", "The whole run"),
        _whole(timeline),
        _stage_table(timeline.stages),
        _guest(timeline),
        _slowest(timeline),
        _marks(timeline.marks),
    )
    zero = "Zero is the decision to start the VMM. Hover or touch a bar for its times."
    body = tag("body", header, main, tag("footer", tag("p", zero)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _bounded(facts: Mapping[str, str]) -> dict[str, str]:
    return {one_line(name, 80): one_line(value, 1000) for name, value in facts.items()}


def _notes(timeline: Timeline) -> Markup:
    items = [tag("li", note) for note in (source_words(timeline.source), *timeline.notes)]
    return tag("ul", items, class_="notes")


def _whole(timeline: Timeline) -> Markup:
    scale = Scale(timeline.start_s, timeline.end_s)
    label = f"Stages of the run, {words(scale.seconds)} in all"
    return tag(
        "div",
        chart(scale, [_stages(timeline.stages)], timeline.marks, label),
        class_="panel box",
    )


def _stages(stages: Sequence[Span]) -> Track:
    bars = tuple(Bar(span, f"l-stage {_look(span)}", span.name) for span in stages)
    return Track("stages", bars, tall=True)


def _look(stage: Span) -> str:
    return f"l-{stage.name.split()[0].lower()}"


def _stage_table(stages: Iterable[Span]) -> Markup:
    rows = [
        (tag("span", tag("span", class_=f"swatch {_look(span)}"), span.name), span, span.note)
        for span in stages
    ]
    return _table("Stages", "stage", rows)


def _guest(timeline: Timeline) -> Markup | None:
    """The guest's own boot, with an axis of the same length."""
    if not (timeline.levels or timeline.initcalls or timeline.short_count or timeline.marks):
        return None
    rows, left_out = _rows(timeline.initcalls)
    levels = _longest(timeline.levels, _MAX_LEVELS)
    lanes = [_stages([s for s in timeline.stages if s.start_s >= timeline.entered_s])]
    if levels:
        bars = (Bar(s, "l-odd" if at % 2 else "l-even", s.name) for at, s in enumerate(levels))
        lanes.append(Track("levels", tuple(bars), tall=True))
    known = timeline.hello_s if timeline.hello_s is not None else timeline.end_s
    end_s = max([known, *(row.bars[0].span.end_s for row in rows)])
    picture = chart(
        Scale(timeline.entered_s, end_s),
        [*lanes, *rows],
        timeline.marks,
        f"The guest's boot: {plural(len(rows), 'initcall')} on an axis of time",
    )
    return tag(
        "section",
        tag("h2", "The guest's boot"),
        tag("p", _short_words(timeline, left_out), class_="soft"),
        tag("div", picture, class_="panel box"),
        folded("Levels as a table", _table("Levels", "level", _plain(levels))) if levels else None,
    )


def _rows(initcalls: Sequence[Span]) -> tuple[list[Track], int]:
    shown = _longest(initcalls, _MAX_ROWS)
    rows = [
        Track(
            span.name,
            (Bar(span, "l-open" if span.kind == "unfinished" else "l-call"),),
            detail=_detail(span),
        )
        for span in shown
    ]
    return rows, len(initcalls) - len(shown)


def _detail(span: Span) -> str:
    return span.note if span.kind == "unfinished" else words(span.seconds)


def _longest(spans: Sequence[Span], limit: int) -> list[Span]:
    """The ``limit`` longest, in order of start; unfinished ones are always included."""
    ordered = sorted(spans, key=lambda span: (span.kind != "unfinished", -span.seconds))
    return sorted(ordered[:limit], key=lambda span: span.start_s)


def _short_words(timeline: Timeline, left_out: int) -> str:
    sentences = []
    if timeline.initcalls:
        sentences.append(f"Initcalls of at least {words(LONG_S)}, in order of start.")
    if timeline.short_count:
        count = plural(timeline.short_count, "shorter one" if timeline.initcalls else "initcall")
        short = "" if timeline.initcalls else f", each below {words(LONG_S)}"
        sentences.append(f"{count} took {words(timeline.short_s)} together{short}.")
    if left_out:
        sentences.append(f"{left_out} of the shortest are left out.")
    return " ".join(sentences) or "The guest told of no initcalls."


def _slowest(timeline: Timeline) -> Markup | None:
    if not timeline.slowest:
        return None
    return tag(
        "section",
        tag("h2", "Slowest initcalls"),
        _table(f"The slowest {len(timeline.slowest)}", "initcall", _plain(timeline.slowest)),
    )


def _marks(marks: Sequence[Mark]) -> Markup | None:
    if not marks:
        return None
    rows = [
        (code(f"{mark.kind} {mark.name}"), Span(mark.name, mark.at_s, 0.0, "mark"), None)
        for mark in marks[:_MAX_MARKS]
    ]
    more = len(marks) - len(rows)
    return tag(
        "section",
        tag("h2", "Marks"),
        _table("Programs, marks, warnings and deaths", "mark", rows, has_length=False),
        tag("p", f"… {more} more left out", class_="soft") if more else None,
    )


Row = tuple[Markup | str | None, Span, str | None]


def _plain(spans: Iterable[Span]) -> list[Row]:
    return [(code(span.name), span, span.note) for span in spans]


def _table(caption: str, first: str, rows: Iterable[Row], *, has_length: bool = True) -> Markup:
    columns = ["at", "took"] if has_length else ["at"]
    body = []
    for name, span, note in rows:
        times = [span.start_s, span.seconds][: len(columns)]
        numbers = [tag("td", words(seconds), class_="number") for seconds in times]
        small = tag("span", note, class_="note") if note else None
        body.append(tag("tr", tag("td", name, small), numbers))
    heads = [tag("th", word, scope="col", class_="number") for word in columns]
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", tag("th", first, scope="col"), heads)),
        tag("tbody", body),
    )
    return tag("div", table, class_="wide-table box", tabindex=0, role="region", aria_label=caption)
