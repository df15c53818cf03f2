# SPDX-License-Identifier: GPL-2.0-only
"""The whole page: the answer, the path to it, blame, the failure, every step, git's log.

Subjects and consoles are untrusted: they are inserted as text, and a policy forbids scripts.
"""

from __future__ import annotations

from kvm.bisect.model import Decision, Label, Mark, Report
from kvm.output.words import clean, moment, one_line
from kvm.report.bisect import grid as blame_grid
from kvm.report.bisect import sentences
from kvm.report.bisect.grid import Grid, Row
from kvm.report.bisect.html import steps
from kvm.report.bisect.html.marks import LETTERS, VERDICTS, mark_badge, named
from kvm.report.bisect.html.style import STYLE
from kvm.report.kit.marks import badge, code, colour, facts, scrolling
from kvm.report.kit.style import STYLE as SHARED_STYLE
from kvm.report.kit.tag import Markup, join, tag
from kvm.verdict.vocabulary import Verdict

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MAX_WORDS = 2000
_LINKS = (
    *(("Path", "path"), ("To blame", "blame"), ("Failure", "failure")),
    *(("Steps", "steps"), ("Log", "log")),
)


def page(report: Report) -> str:
    """The page as text."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", _title(report)),
        tag("style", Markup(SHARED_STYLE + STYLE)),
    )
    main = tag(
        "main",
        tag("h2", "Path", id="path"),
        steps.strip(report),
        tag("h2", "To blame", id="blame"),
        _blame(report),
        tag("h2", "Failure", id="failure"),
        _failure(report),
        tag("h2", "Steps", id="steps"),
        steps.details(report),
        tag("h2", "Log", id="log"),
        tag("p", "As git bisect replay takes it.", class_="soft"),
        scrolling(clean(report.log).strip("\n"), "Log of git bisect"),
    )
    body = tag("body", _header(report), _nav(), main, tag("footer"))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _title(report: Report) -> str:
    if report.first_bad is None:
        return sentences.headline(report)
    commit = report.first_bad
    return one_line(f"{sentences.headline(report)}: {commit.short} {commit.subject}", 200)


def _header(report: Report) -> Markup:
    return tag(
        "header",
        tag("h1", sentences.headline(report)),
        _answer(report),
        facts(
            {
                "test": code(one_line(report.test, _MAX_WORDS)),
                "confidence": sentences.confidence(report),
                "started": moment(report.started),
                "work": sentences.work(report),
                "good end" if not report.fix else "failing end": named(report.good),
                "bad end" if not report.fix else "fixed end": named(report.bad),
                "command": code(one_line(report.command, _MAX_WORDS)),
            },
            wide=("test", "work", "good end", "failing end", "bad end", "fixed end", "command"),
        ),
    )


def _answer(report: Report) -> Markup:
    blame = report.blame
    blamed = tag("p", "To blame: ", tag("b", sentences.label(blame))) if blame else None
    if report.first_bad is None:
        items = [tag("li", named(commit)) for commit in report.candidates]
        return tag(
            "div",
            tag("ol", items, class_="candidates"),
            tag("p", sentences.narrowed(report), class_="soft"),
            blamed,
            class_=f"answer box {colour(Verdict.FLAKY)}",
        )
    commit = report.first_bad
    who = ", ".join(one_line(word) for word in (commit.author, commit.date) if word)
    touched = sentences.touched(commit)
    return tag(
        "div",
        tag("p", one_line(commit.subject), class_="subject"),
        tag("p", code(one_line(commit.id)), f" {who}", class_="soft"),
        tag("p", f"Touches {touched}.") if touched else None,
        blamed,
        tag("p", code(sentences.fixes(report))),
        class_=f"answer box {colour(Verdict.PASS if report.fix else Verdict.FAIL)}",
    )


def _nav() -> Markup:
    links = [tag("a", words, href=f"#{where}") for words, where in _LINKS]
    return tag("nav", tag("div", links), aria_label="Page")


def _blame(report: Report) -> Markup:
    if report.blame is None:
        return tag("p", "Was not looked for.", class_="soft")
    blame = report.blame
    is_known = blame.label is not Label.UNKNOWN
    verdict, symbol = (Verdict.FAIL, "✗") if is_known else (Verdict.SKIP, "?")
    shown = blame_grid.grid(report)
    return join(
        tag("p", badge(verdict, sentences.label(blame), symbol), class_="blamed"),
        tag("p", sentences.reasoning(blame), class_="summary"),
        tag("p", "The patch: ", code(one_line(blame.patch))) if blame.patch else None,
        _table(shown) if shown is not None else None,
    )


def _table(shown: Grid) -> Markup:
    heads = [tag("th", column, scope="col") for column in shown.columns]
    table = tag(
        "table",
        tag("caption", "What each mix of the two commits did"),
        tag("thead", tag("tr", tag("td", class_="none"), heads)),
        tag("tbody", [_row(row) for row in shown.rows]),
        class_="mixes",
    )
    return tag(
        "div",
        table,
        tag("p", shown.legend, class_="soft"),
        class_="panel box",
        tabindex=0,
        role="region",
        aria_label="Table of blame",
    )


def _row(row: Row) -> Markup:
    return tag("tr", tag("th", row.name, scope="row"), [_mix(cell) for cell in row.cells])


def _mix(decision: Decision | None) -> Markup:
    if decision is None:
        return tag("td", "not run", class_="none")
    is_skip = decision.mark is Mark.SKIP
    small = one_line(decision.why, 80) if is_skip else sentences.runs(decision)
    return tag(
        "td",
        tag("span", LETTERS[decision.mark], aria_hidden="true"),
        f" {decision.mark.value}",
        tag("small", small) if small else None,
        class_=colour(VERDICTS[decision.mark]),
        title=one_line(decision.why),
    )


def _failure(report: Report) -> Markup:
    failure = report.failure
    return tag(
        "article",
        tag("h3", mark_badge(Mark.BAD), failure.reason.value),
        tag("p", one_line(failure.summary, _MAX_WORDS), class_="summary"),
        facts(
            {
                "seen": sentences.often(failure),
                "signature": code(one_line(failure.signature, _MAX_WORDS)),
            },
            wide=("signature",),
        ),
        tag(
            "div",
            tag("h4", "See it again"),
            scrolling(clean(report.repeat), "Command that shows the failure again"),
            class_="wrapped",
        )
        if report.repeat
        else None,
        class_=f"cell box {colour(Verdict.FAIL)}",
    )
