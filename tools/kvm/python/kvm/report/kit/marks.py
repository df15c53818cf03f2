# SPDX-License-Identifier: GPL-2.0-only
"""Small components for several parts of a page: badges, anchors, facts, folded parts."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

from kvm.output.words import SYMBOLS
from kvm.report.kit.tag import Content, Markup, join, tag
from kvm.verdict.vocabulary import Verdict


def anchors(cells: Iterable[str]) -> dict[str, str]:
    """Cell id → an id in the page, the same from run to run, so that links to it stay valid."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for cell in cells:
        name = base = "cell-" + re.sub(r"[^A-Za-z0-9_.-]", "-", cell)
        number = 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name)
        found[cell] = name
    return found


def colour(verdict: Verdict) -> str:
    return f"v-{verdict.value.lower()}"


def badge(verdict: Verdict, words: str = "", symbol: str = "") -> Markup:
    shown = tag("span", symbol or SYMBOLS[verdict], aria_hidden="true")
    return tag("span", shown, " ", words or verdict.value, class_=f"badge {colour(verdict)}")


def facts(items: Mapping[str, Content], wide: Container[str] = ()) -> Markup:
    """Name and value pairs; empty values are left out."""
    pairs = [
        tag("div", tag("dt", name), tag("dd", value), class_="wide" if name in wide else None)
        for name, value in items.items()
        if value
    ]
    return tag("dl", pairs, class_="facts")


def folded(title: Content, *content: Content, is_open: bool = False) -> Markup:
    return tag("details", tag("summary", title), *content, open=is_open)


def code(text: str) -> Markup | None:
    return tag("code", text) if text else None


def scrolling(content: Content, label: str) -> Markup:
    """Preformatted text in a box of its own, which the keyboard can also scroll."""
    return tag("pre", join("\n", content), tabindex=0, role="region", aria_label=label)
