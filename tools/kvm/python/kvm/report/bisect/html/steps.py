# SPDX-License-Identifier: GPL-2.0-only
"""The path as a row of letters along history, and each step in full."""

from __future__ import annotations

from kvm.bisect.model import Report, Step
from kvm.output.words import duration, one_line, plural
from kvm.report.bisect import path, sentences
from kvm.report.bisect.html.marks import LETTERS, VERDICTS, mark_badge, named
from kvm.report.bisect.path import Span, Stop
from kvm.report.kit.marks import code, colour, facts
from kvm.report.kit.tag import Markup, join, tag

_MAX_WHY = 2000


def strip(report: Report) -> Markup:
    """The row, oldest first; a letter links to its step."""
    found = report.first_bad.id if report.first_bad is not None else ""
    stops = path.stops(report)
    items = [_stop(stop, is_last, found) for stop, is_last in _with_last(stops)]
    order = "oldest first" if path.is_placed(report) else "in the order of asking"
    of = f", of {plural(report.commits, 'commit')}" if report.commits else ""
    words = f"The two ends and {plural(len(report.steps), 'step')}{of}, {order}."
    letters = ", ".join(f"{letter} {mark.value}" for mark, letter in LETTERS.items())
    outlined = " The outlined one is the answer." if found else ""
    return tag(
        "div",
        tag("ol", items, class_="path", aria_label="Path of the search"),
        tag("p", f"{words} {letters}.{outlined}", class_="soft"),
        class_="panel box",
    )


def details(report: Report) -> list[Markup]:
    """An article for each step, in the order of the search."""
    spans = path.spans(report)
    articles = [
        _detail(number, step, spans[number - 1] if spans else None)
        for number, step in enumerate(report.steps, 1)
    ]
    if not articles:
        return [tag("p", "No step was needed: the ends are neighbours.", class_="soft")]
    words = "A bar is all of history: blue is what was still open, the mark is what was tried."
    return [tag("p", words, class_="soft"), *articles] if spans else articles


def _with_last(stops: tuple[Stop, ...]) -> list[tuple[Stop, bool]]:
    return [(stop, at == len(stops) - 1) for at, stop in enumerate(stops)]


def _stop(stop: Stop, is_last: bool, found: str) -> Markup:
    where = f"step {stop.number}" if stop.number else ("newest" if is_last else "oldest")
    body = join(
        tag("b", LETTERS[stop.mark], aria_hidden="true"),
        tag("span", f"{stop.mark.value} ", class_="hidden"),
        tag("small", where),
    )
    title = f"{stop.commit.short} {one_line(stop.commit.subject)}"
    look = colour(VERDICTS[stop.mark])
    shown = (
        tag("a", body, href=f"#step-{stop.number}", title=title)
        if stop.number
        else tag("span", body, title=title)
    )
    return tag("li", shown, class_=f"{look} found" if stop.commit.id == found else look)


def _detail(number: int, step: Step, span: Span | None) -> Markup:
    decision, commit = step.decision, step.commit
    anchor = f"step-{number}"
    return tag(
        "article",
        tag(
            "h3",
            mark_badge(decision.mark),
            tag("a", f"Step {number}", href=f"#{anchor}"),
            tag("span", "reused" if decision.reused else duration(decision.seconds), class_="took"),
            id=f"{anchor}-name",
        ),
        tag("p", named(commit), class_="summary"),
        tag("p", one_line(decision.why, _MAX_WHY), class_="summary soft"),
        _track(span),
        facts(
            {
                "author": one_line(commit.author),
                "date": one_line(commit.date),
                "touches": sentences.touched(commit),
                "runs": sentences.runs(decision),
                "kernel": code(decision.kernel),
                "VMM": code(decision.vmm),
                "commits left": str(step.left),
            }
        ),
        id=anchor,
        class_=f"cell box {colour(VERDICTS[decision.mark])}",
        aria_labelledby=f"{anchor}-name",
    )


def _track(span: Span | None) -> Markup | None:
    """All history from left to right: the part that was still open, and the commit tried."""
    if span is None:
        return None
    start, end, at = (f"{100 * part:.2f}%" for part in (span.start, span.end, span.at))
    return tag(
        "div",
        tag("span", class_="open", style=f"left:{start};right:calc(100% - {end})"),
        tag("span", class_="at", style=f"left:{at}"),
        class_="track",
        role="img",
        aria_label=f"Searched: {start} to {end} of history, tried at {at}",
    )
