# SPDX-License-Identifier: GPL-2.0-only
"""One cell in full: its axes, how it ended, why, and how to repeat it."""

from __future__ import annotations

from kvm.matrix.cell import AXES
from kvm.output.words import duration, moment, verdict_words
from kvm.report.kit.marks import badge, code, colour, facts, scrolling
from kvm.report.kit.tag import Markup, tag
from kvm.report.matrix.console import Console
from kvm.report.matrix.html import parts
from kvm.report.matrix.view import View
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Verdict

_MAX_SUMMARY = 2000


def detail(result: CellResult, view: View, anchor: str, *, brief: bool = False) -> Markup:
    """The cell's section; ``brief`` leaves out the parts that can be large."""
    body: list[Markup | None]
    if brief:
        words = "Checks, evidence and console are left out: the page would be too large."
        body = [tag("p", words, class_="soft")]
    else:
        body = [
            parts.attempts(result.attempts),
            parts.checks(result),
            parts.evidence(result.evidence),
            parts.console(view.consoles.get(result.cell, Console()), f"{anchor}-mark"),
            parts.exits(result, view.before.get(result.cell)),
        ]
    return tag(
        "article",
        _heading(result, anchor),
        _summary(result),
        _axes(result),
        *body,
        parts.history(view.history.get(result.cell, ())),
        _facts(result),
        _repeat(result.repeat),
        id=anchor,
        class_=f"cell box {colour(result.verdict)}",
        aria_labelledby=f"{anchor}-name",
    )


def _heading(result: CellResult, anchor: str) -> Markup:
    return tag(
        "h3",
        badge(result.verdict, verdict_words(result.verdict, result.reason)),
        tag("a", result.cell, href=f"#{anchor}", class_="id"),
        tag("span", duration(result.seconds), class_="took"),
        id=f"{anchor}-name",
    )


def _summary(result: CellResult) -> Markup | None:
    if not result.summary:
        return None
    text = result.summary
    if len(text) > _MAX_SUMMARY:
        text = f"{text[:_MAX_SUMMARY]}… ({len(text) - _MAX_SUMMARY} more characters)"
    return tag("p", text, class_="summary")


def _repeat(command: str) -> Markup | None:
    if not command:
        return None
    box = scrolling(command, "Command that repeats this cell")
    return tag("div", tag("h4", "Do it again"), box, class_="wrapped")


def _axes(result: CellResult) -> Markup:
    known = [axis for axis in AXES if axis in result.axes]
    others = [axis for axis in result.axes if axis not in AXES]
    items = [
        tag("li", tag("span", f"{axis} ", class_="soft"), result.axes[axis])
        for axis in (*known, *others)
    ]
    return tag("ul", items, class_="chips", aria_label="Axes")


def _facts(result: CellResult) -> Markup:
    is_failure = result.verdict is not Verdict.PASS
    return facts(
        {
            "started": moment(result.started) if result.started else None,
            "timings": parts.timings(result.timings_s),
            "kernel": _named(result.kernel, result.kernel_id),
            "VMM": code(result.vmm_id),
            "worker": result.worker,
            "run folder": code(result.run_dir),
            "signature": code(result.signature) if is_failure else None,
        }
    )


def _named(name: str, ident: str) -> Markup | None:
    words = " ".join(word for word in (name, ident) if word)
    return code(words)
