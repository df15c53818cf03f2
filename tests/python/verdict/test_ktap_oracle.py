# SPDX-License-Identifier: GPL-2.0-only
"""Our KTAP parser and the kernel's own (tools/testing/kunit) have the same results."""

from __future__ import annotations

import contextlib
import importlib
import io
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.kernel import tree
from kvm.project import Project
from kvm.verdict.ktap import parse
from kvm.verdict.vocabulary import Verdict
from support.prepared import require

_RUNS = 300


@pytest.fixture(scope="module")
def kunit_parser() -> Iterator[Any]:
    folder = tree.locate(Project.find()).path / "tools" / "testing" / "kunit"
    there = (folder / "kunit_parser.py").is_file()
    require(there, "there is no kernel tree yet", "./invoke kernel.tree")
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("kunit_parser")
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name.startswith("kunit"):
                del sys.modules[name]


def _suite(random_: random.Random, depth: int, pad: str) -> tuple[list[str], bool]:
    """Results of one level, and whether all of them are good."""
    count = random_.randint(1, 4)
    lines = [f"{pad}KTAP version 1", f"{pad}1..{count}"]
    reported = count - (random_.random() < 0.1)
    good = reported == count
    for number in range(1, reported + 1):
        if depth and random_.random() < 0.4:
            below, inner = _suite(random_, depth - 1, pad + "    ")
            lines += below
            fails = not inner
        else:
            fails = random_.random() < 0.1
        if random_.random() < 0.3:
            lines.append(f"{pad}# a comment, ok 1 of them")
        directive = " # SKIP none here" if not fails and random_.random() < 0.2 else ""
        lines.append(f"{pad}{'not ok' if fails else 'ok'} {number} test_{number}{directive}")
        good = good and not fails
    return lines, good


def _verdict_of_kunit(parser: Any, lines: list[str]) -> str:
    stream = parser.extract_tap_lines(iter(lines))
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            root = parser.parse_test(stream, 0, [], False)
        except ValueError:  # it reads beyond the end of a truncated report
            return "TEST_CRASHED"
    return str(root.counts.get_status().name)


@pytest.mark.parametrize("seed", range(_RUNS))
def test_the_kernel_parser_agrees(kunit_parser: Any, seed: int) -> None:
    lines, _ = _suite(random.Random(seed), 2, "")
    theirs = _verdict_of_kunit(kunit_parser, lines)
    ours = parse(lines).verdict
    text = "\n".join(lines)
    if theirs == "SUCCESS":
        assert ours is Verdict.PASS, text
    elif theirs == "SKIPPED":
        assert ours is Verdict.SKIP, text
    else:  # FAILURE or TEST_CRASHED
        assert ours in (Verdict.FAIL, Verdict.ERROR), text


def test_the_parser_comes_from_the_tree(kunit_parser: Any) -> None:
    assert Path(kunit_parser.__file__).parent.name == "kunit"
