# SPDX-License-Identifier: GPL-2.0-only
"""The whole page: how the run ended, what changed, the grid, and every cell.

It works from a mail or a CI artifact: it is one file, with a policy that forbids scripts, whatever
a guest may have put on its console.
"""

from __future__ import annotations

from kvm.output.words import SYMBOLS, duration, moment, plural
from kvm.report.kit.marks import anchors, badge, code, colour, facts
from kvm.report.kit.style import STYLE
from kvm.report.kit.tag import Markup, join, tag
from kvm.report.matrix.html.detail import detail
from kvm.report.matrix.html.grid import grid
from kvm.report.matrix.view import View
from kvm.results.history import Change, ChangeKind
from kvm.verdict.vocabulary import Verdict

MAX_BYTES = 6 << 20
_MAX_CHANGES = 300
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LOOKS_LIKE = {
    ChangeKind.NEWLY_FAILING: (Verdict.FAIL, "✗"),
    ChangeKind.STILL_FAILING: (Verdict.FAIL, "✗"),
    ChangeKind.NOT_TRIED: (Verdict.SKIP, "○"),
    ChangeKind.SLOWER: (Verdict.FLAKY, "▲"),
    ChangeKind.MORE_EXITS: (Verdict.FLAKY, "▲"),
    ChangeKind.FIXED: (Verdict.PASS, "✓"),
    ChangeKind.NEW: (Verdict.PASS, "+"),
    ChangeKind.GONE: (Verdict.SKIP, "-"),
}


def page(view: View, max_bytes: int = MAX_BYTES) -> str:
    """The page as text. Above ``max_bytes`` cells keep their verdicts and lose their consoles."""
    names = anchors(view.cells)
    details, shortened = _details(view, names, max_bytes)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", _title(view)),
        tag("style", Markup(STYLE)),
    )
    main = tag(
        "main",
        tag("h2", "What changed", id="changes"),
        _changes(view, names),
        tag("h2", "Grid", id="grid"),
        grid(view, names),
        _missing(view),
        tag("h2", "Cells", id="cells"),
        details,
    )
    body = tag("body", _header(view), _nav(view), main, _footer(view, shortened))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _details(view: View, names: dict[str, str], max_bytes: int) -> tuple[Markup, int]:
    """All cells, the worst first, and how many were shortened."""
    sections: list[Markup] = []
    room, shortened = max_bytes, 0
    for result in view.worst_first:
        section = detail(result, view, names[result.cell])
        size = len(section.encode())
        if size > room:
            section = detail(result, view, names[result.cell], brief=True)
            size = len(section.encode())
            shortened += 1
        room -= size
        sections.append(section)
    return join(sections), shortened


def _title(view: View) -> str:
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in view.counts.items())
    return f"Matrix run {view.run.number}: {counts or 'no results'}"


def _header(view: View) -> Markup:
    run = view.run
    bar = [
        tag("span", class_=colour(verdict), style=f"flex-grow:{count}")
        for verdict, count in view.counts.items()
    ]
    counts = [tag("li", badge(v, f"{count} {v.value}")) for v, count in view.counts.items()]
    kernels = [
        join(", " if at else "", name, " ", code(kernel))
        for at, (name, kernel) in enumerate(view.kernels.items())
    ]
    return tag(
        "header",
        tag("h1", f"Matrix run {run.number}"),
        tag("ul", counts, class_="counts"),
        tag("div", bar, class_="bar", aria_hidden="true"),
        facts(
            {
                "started": moment(run.started),
                "took": duration(view.seconds),
                "state": _state(view),
                "subset": run.subset,
                "commit": code(run.commit),
                "VMM": code(run.vmm_id),
                "kernels" if len(kernels) > 1 else "kernel": kernels,
                "command": code(run.command),
            },
            wide=("command", "kernels"),
        ),
    )


def _state(view: View) -> str:
    if view.run.interrupted:
        return "interrupted"
    return "" if view.run.ended is not None else "still running, or killed"


def _nav(view: View) -> Markup:
    is_mixed = Verdict.PASS in view.counts and len(view.counts) > 1
    choice = tag(
        "fieldset",
        tag("legend", "Cells to show", class_="hidden"),
        tag("input", type="radio", name="show", id="all", checked=True),
        tag("label", "all cells", for_="all"),
        tag("input", type="radio", name="show", id="only-bad"),
        tag("label", "not passing", for_="only-bad"),
    )
    links = [
        tag("a", words, href=f"#{where}")
        for words, where in (("What changed", "changes"), ("Grid", "grid"), ("Cells", "cells"))
    ]
    return tag("nav", tag("div", links, choice if is_mixed else None), aria_label="Page")


def _changes(view: View, names: dict[str, str]) -> Markup:
    if not view.changes:
        words = "Nothing since the last run." if view.before else "There is no earlier run."
        return tag("p", words, class_="soft")
    items = [_change(change, names) for change in view.changes[:_MAX_CHANGES]]
    if len(view.changes) > _MAX_CHANGES:
        items.append(tag("li", f"… {len(view.changes) - _MAX_CHANGES} more left out"))
    return tag("ul", items, class_="changes box")


def _change(change: Change, names: dict[str, str]) -> Markup:
    verdict, symbol = _LOOKS_LIKE[change.kind]
    name = names.get(change.cell)
    cell = tag("a", change.cell, href=f"#{name}", class_="id") if name else code(change.cell)
    return tag(
        "li",
        badge(verdict, change.kind.value, symbol),
        cell,
        tag("span", change.detail, class_="soft"),
    )


def _missing(view: View) -> Markup | None:
    if not view.missing:
        return None
    count = plural(len(view.missing), "planned cell")
    items = [tag("li", code(cell)) for cell in view.missing]
    return tag("details", tag("summary", f"{count} did not run"), tag("ul", items))


def _footer(view: View, shortened: int) -> Markup:
    words = [
        "Symbols: " + ", ".join(f"{symbol} {verdict.value}" for verdict, symbol in SYMBOLS.items())
    ]
    if shortened:
        words.append(
            f"{plural(shortened, 'cell')} shown without checks, evidence and console, for size;"
            " their run folders have it all"
        )
    return tag("footer", tag("p", ". ".join(words) + "."))
