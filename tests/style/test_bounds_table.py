# SPDX-License-Identifier: GPL-2.0-only
"""The table of decision 28 agrees with the code, and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

_TABLE = Path("docs", "decisions", "0028-resource-bounds.md")
_BOUND = re.compile(r"`(?P<file>[^`]+)`: `(?P<constant>\w+ = [^`]+)`")
_TEST = re.compile(r"`(?P<file>[^`]+)`: (?P<name>.+)")


def rows(root: Path) -> list[list[str]]:
    lines = (root / _TABLE).read_text().splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")][2:]


def test_each_bound_is_the_codes(root: Path) -> None:
    bounds = [found for row in rows(root) if (found := _BOUND.fullmatch(row[1])) is not None]
    assert len(bounds) > 20
    for bound in bounds:
        text = (root / "tools" / "kvm" / bound["file"]).read_text()
        assert re.search(rf"\b{re.escape(bound['constant'])}(?![\w.])", text), bound[0]


def test_each_bound_has_a_test(root: Path) -> None:
    for row in rows(root):
        assert len(row) == 4, row
        named = _TEST.fullmatch(row[3])
        assert named is not None, row
        assert named["name"] in (root / "tests" / named["file"]).read_text(), row
