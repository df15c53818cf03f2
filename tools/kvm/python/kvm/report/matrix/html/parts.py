# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a cell's detail: checks, evidence, console, exits, history, attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from kvm.output.words import (
    SYMBOLS,
    WORST_FIRST,
    duration,
    moment,
    one_line,
    plural,
    verdict_words,
)
from kvm.report.kit.marks import badge, code, colour, folded, scrolling
from kvm.report.kit.tag import Markup, join, tag
from kvm.report.matrix.console import Console, Row
from kvm.results.history import Earlier, Past
from kvm.results.model import Attempt, CellResult
from kvm.verdict.ktap import Case
from kvm.verdict.vocabulary import Evidence, Verdict

_MAX_CHECKS = 200  # at each level
_MAX_LEVELS = 6
_GOOD = WORST_FIRST.index(Verdict.SKIP)  # good from here on in that order
_MANY_CHECKS = 8
_MAX_COMMENTS = 20
_MAX_EVIDENCE = 120
_MAX_EXIT_ROWS = 40


def checks(result: CellResult) -> Markup | None:
    if not result.checks:
        return None
    leaves = Counter(leaf.status.verdict for case in result.checks for leaf in case.leaves())
    told = ", ".join(
        f"{leaves[verdict]} {verdict.value}" for verdict in WORST_FIRST if leaves[verdict]
    )
    count = sum(leaves.values())
    is_open = bool(leaves[Verdict.FAIL] or leaves[Verdict.ERROR]) or count <= _MANY_CHECKS
    title = f"{plural(count, 'check')}: {told}"
    return folded(title, _checks(result.checks, 1, class_="checks"), is_open=is_open)


def _checks(cases: Sequence[Case], level: int, class_: str | None = None) -> Markup:
    """The checks, failing ones first. If many are good, they are folded away below."""
    ordered = sorted(cases, key=_rank)
    bad = sum(_rank(case) < _GOOD for case in ordered)
    items = [_check(case, level) for case in ordered[:_MAX_CHECKS]]
    if len(ordered) > _MAX_CHECKS:
        items.append(tag("li", f"… {len(ordered) - _MAX_CHECKS} more left out", class_="soft"))
    if bad and len(ordered) - bad > _MANY_CHECKS:
        rest = folded(f"{len(ordered) - bad} more that did not fail", tag("ul", items[bad:]))
        items = [*items[:bad], tag("li", rest)]
    return tag("ul", items, class_=class_)


def _rank(case: Case) -> int:
    verdicts = {case.status.verdict, *(leaf.status.verdict for leaf in case.leaves())}
    return min(WORST_FIRST.index(verdict) for verdict in verdicts)


def _check(case: Case, level: int) -> Markup:
    verdict = case.status.verdict
    note = tag("span", f" {one_line(case.note)}", class_="soft") if case.note else None
    head = join(badge(verdict, case.status.value), " ", one_line(case.name), note)
    comments = case.comments[-_MAX_COMMENTS:]
    said = scrolling("\n".join(comments), "What the check said") if comments else None
    below: Markup | None = None
    if case.children and level < _MAX_LEVELS:
        below = _checks(case.children, level + 1)
    elif case.children:
        below = tag("p", f"{sum(1 for _ in case.leaves())} deeper ones left out", class_="soft")
    if verdict in (Verdict.PASS, Verdict.SKIP) and (said or len(case.children) > _MANY_CHECKS):
        # A click anywhere on the line opens the folded part.
        return tag("li", folded(head, said, below, is_open=_rank(case) < _GOOD))
    return tag("li", head, said, below)


def evidence(items: Sequence[Evidence]) -> Markup | None:
    if not items:
        return None
    return join(_evidence(item) for item in items)


def _evidence(item: Evidence) -> Markup:
    lines = item.lines[:_MAX_EVIDENCE]
    more = len(item.lines) - len(lines)
    text = "\n".join([*lines, *([f"… {more} more lines"] if more > 0 else [])])
    title = tag("h4", f"Evidence: {one_line(item.kind)}")
    return join(title, scrolling(text, f"Evidence from {item.kind}"))


def console(log: Console, anchor: str) -> Markup | None:
    """``anchor`` names the first marked line, so that a link can scroll to it."""
    if not log.path:
        return None
    if not log.rows:
        return tag("p", "The console log ", code(log.path), " is not there.", class_="soft")
    shown = sum(not row.is_gap for row in log.rows)
    words = [plural(log.total, "line")]
    if shown < log.total:
        words.append(f"{shown} shown")
    if log.marked:
        words.append(f"{log.marked} marked ▶")
    link = tag("a", "to the first marked line", href=f"#{anchor}") if log.marked else None
    where = tag("p", "Whole log: ", code(log.path), " " if link else None, link, class_="soft")
    first = next((row for row in log.rows if row.marked), None)
    lines = (_line(row, anchor if row is first else None) for row in log.rows)
    return folded(f"Console: {', '.join(words)}", where, scrolling(lines, "Console"))


def _line(row: Row, anchor: str | None) -> Markup:
    if row.is_gap:
        return join(tag("span", row.text, class_="gap"), "\n")
    text = f"{row.number:>5} {row.text}"
    return join(tag("mark", f"▶{text}", id=anchor), "\n") if row.marked else join(f" {text}\n")


def exits(result: CellResult, before: Earlier | None) -> Markup | None:
    """Counts by reason, port and device, beside those of the last run with the cell."""
    groups = (("By reason", "reasons"), ("By port", "ports"), ("By device", "devices"))
    old = before.result.exits if before else {}
    tables = [
        _counts(title, counts, _numbers(old.get(key)) if before else None)
        for title, key in groups
        if (counts := _numbers(result.exits.get(key)))
    ]
    if not tables:
        return None
    total = sum(_numbers(result.exits.get("reasons")).values())
    than = f", compared with run {before.run}" if before else ""
    return folded(f"{plural(total, 'exit')} to the VMM{than}", tag("div", tables, class_="tables"))


def _numbers(counts: object) -> dict[str, int]:
    if not isinstance(counts, Mapping):
        return {}
    return {str(name): value for name, value in counts.items() if isinstance(value, int)}


def _counts(title: str, counts: dict[str, int], old: dict[str, int] | None) -> Markup:
    names = sorted({**(old or {}), **counts}, key=lambda name: -counts.get(name, 0))
    head = [tag("th", "", scope="col"), tag("th", "count", scope="col")]
    head += [tag("th", "change", scope="col")] if old is not None else []
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", str(counts.get(name, 0))),
            tag("td", _difference(counts.get(name, 0) - old.get(name, 0)))
            if old is not None
            else None,
        )
        for name in names[:_MAX_EXIT_ROWS]
    ]
    if len(names) > _MAX_EXIT_ROWS:
        rows.append(tag("tr", tag("td", f"… {len(names) - _MAX_EXIT_ROWS} more")))
    return tag("div", tag("table", tag("caption", title), tag("tr", head), rows))


def _difference(change: int) -> str:
    return f"{change:+d}" if change else "="


def history(past: Iterable[Past], limit: int = 20) -> Markup | None:
    """Small squares, the oldest first; the last one is this run."""
    squares = [
        tag(
            "li",
            tag("span", SYMBOLS[item.verdict], aria_hidden="true"),
            tag("span", _past_words(item), class_="hidden"),
            class_=colour(item.verdict),
            title=_past_words(item),
        )
        for item in islice(past, limit)
    ]
    if len(squares) < 2:
        return None
    return join(tag("h4", "History"), tag("ol", reversed(squares), class_="history"))


def _past_words(item: Past) -> str:
    words = [
        f"run {item.run}: {verdict_words(item.verdict, item.reason)}",
        duration(item.seconds),
        *([f"{item.exits_total} exits"] if item.exits_total else []),
        moment(item.started),
        *([f"kernel {item.kernel_id}"] if item.kernel_id else []),
    ]
    return ", ".join(words)


def attempts(items: Sequence[Attempt]) -> Markup | None:
    if len(items) < 2:
        return None
    lines = [
        tag(
            "li",
            badge(item.verdict, verdict_words(item.verdict, item.reason)),
            f" {one_line(item.summary)} ",
            tag("span", duration(item.seconds), " ", code(item.run_dir), class_="soft"),
        )
        for item in items
    ]
    return join(tag("h4", plural(len(items), "attempt")), tag("ol", lines))


def timings(values: Mapping[str, Any]) -> list[Markup]:
    words = [f"{name} {duration(float(value))}" for name, value in values.items()]
    return [
        join(tag("span", word, class_="whole"), ", " if word is not words[-1] else None)
        for word in words
    ]
