# SPDX-License-Identifier: GPL-2.0-only
"""The layering as ARCHITECTURE.md states it: for each folder, the folders that it may use."""

from __future__ import annotations

import re
from collections.abc import Mapping

Layers = Mapping[str, frozenset[str]]

EVERYTHING = "everything"
_NAME = re.compile(r"`([\w/]+)`")


def read(text: str, heading: str) -> dict[str, frozenset[str]]:
    """The table under ``### heading`` of the page ``text``: a folder's name, then what it may use.

    A folder that may use everything has only the name ``EVERYTHING``.
    """
    section = text.split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| `")]
    return {_NAME.findall(row[0])[0]: _used(row[1]) for row in rows}


def _used(cell: str) -> frozenset[str]:
    return frozenset((EVERYTHING,)) if EVERYTHING in cell else frozenset(_NAME.findall(cell))


def unplaced(layers: Layers) -> set[str]:
    """The folders of a circle and those above one; none if there is an order from the bottom."""
    placed: set[str] = set()
    bounded = {name: used for name, used in layers.items() if used != {EVERYTHING}}
    while ready := {n for n, used in bounded.items() if n not in placed and used <= placed}:
        placed |= ready
    return bounded.keys() - placed


def may_use(layers: Layers, user: str, used: str) -> bool:
    """Whether a file of ``user`` may use one of ``used``; files of its own folder it always may."""
    allowed = layers.get(user, frozenset())
    return user == used or used in allowed or allowed == {EVERYTHING}
