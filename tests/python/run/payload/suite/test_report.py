# SPDX-License-Identifier: GPL-2.0-only
"""The reports on a suite's run: on the terminal, for CI systems, for scripts."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kvm.errors import UserError
from kvm.output import targets
from kvm.project import Project
from kvm.report import payload_suite as report
from kvm.report.payload_suite import Story
from kvm.run.halves import Halves
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.plan import Plan
from kvm.verdict import ktap
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Outcome

from .conftest import CTRL_C, FAIL, LOST, PASS, SKIP, ScriptedBench

_HALVES = cast(
    Halves,
    cast(Any, SimpleNamespace(kernel=SimpleNamespace(id="k1"), vmm=SimpleNamespace(id="v1"))),
)


@pytest.fixture
def story(plan: Callable[..., Plan], tmp_path: Path) -> Callable[..., Story]:
    """``story(a=PASS, b=FAIL)``: a run of those tests; ``said`` is on every serial port."""

    def make(said: str = "", left_out: tuple[str, ...] = (), **ends: Outcome) -> Story:
        bench = ScriptedBench({name: (outcome,) for name, outcome in ends.items()}, said=said)
        made = plan(*ends, left_out=left_out)
        done = running.run(made, bench, None, lambda number, test: None, lambda result: None)
        command = "./invoke payload --suite own"
        return Story(Project(tmp_path), made, _HALVES, done, command, "1234+", "lab", 100.0, 102.5)

    return make


MakeStory = Callable[..., Story]


def test_a_line_says_how_a_test_ended(story: MakeStory) -> None:
    results = story(a=PASS, b=FAIL).done.results
    passed, failed = (report.result_line(result, colour=False) for result in results)
    late = report.line(Case("c", Status.TIMEOUT, "not done"), 90.0, colour=False)
    assert late == "FAIL c (1 min 30 s): not done"
    known = report.line(Case("d", Status.XFAIL, "because"), 1.0, colour=False)
    assert known == "XFAIL d (1.0 s): because"
    assert passed.startswith("PASS a (") and passed.endswith(" s)")
    assert failed.startswith("FAIL b (")
    assert failed.endswith(" s): a.flat failed with debug-exit status 3")
    skipped = report.line(Case("c", Status.SKIP, "no \x1b[1mPMU\x1b[0m\nhere"), None, colour=False)
    assert skipped == "SKIP c (no PMU here)"


@pytest.mark.parametrize(
    ("ends", "code", "closing"),
    [
        ({"a": PASS}, 0, "PASS own: 1 passed, 0 failed, 0 skipped of 1 test in 2.5 s"),
        ({"a": PASS, "b": SKIP}, 0, "PASS own: 1 passed, 0 failed, 1 skipped of 2 tests in 2.5 s"),
        ({"a": FAIL, "b": LOST}, 1, "FAIL own: 0 passed, 1 failed, 1 without a verdict, 0 skipped"),
        ({"a": PASS, "b": LOST}, 125, "ERROR own: 1 passed, 0 failed, 1 without a verdict"),
        ({"a": SKIP}, 125, "ERROR own: 0 passed, 0 failed, 1 skipped of 1 test in 2.5 s"),
        (
            {"a": PASS, "b": CTRL_C, "c": PASS},
            125,
            "ERROR own: 1 passed, 0 failed, 0 skipped, 2 not run of 3 tests",
        ),
    ],
)
def test_the_exit_code_and_the_closing_line_agree(
    story: MakeStory, ends: dict[str, Outcome], code: int, closing: str
) -> None:
    told = story(**ends)
    assert report.exit_code(told) == code
    assert report.closing(told, colour=False).startswith(closing)


def test_tests_of_other_processors_are_told_of(story: MakeStory) -> None:
    text = report.closing(story(a=PASS, left_out=("old", "older")), colour=False)
    assert text.startswith("left out, as they are for other processors: old, older\n")


def test_ktap_has_each_test_with_its_checks(story: MakeStory) -> None:
    told = story("PASS: one\nFAIL: two # odd\n", a=PASS, b=FAIL, c=SKIP, d=CTRL_C)
    read = ktap.parse(ktap_text(told).splitlines())
    assert not read.problems
    assert [(case.name, case.status) for case in read.cases] == [
        ("a", Status.PASS),
        ("b", Status.FAIL),
        ("c", Status.SKIP),
        ("d", Status.SKIP),
    ]
    assert [case.status for case in read.cases[1].children] == [Status.PASS, Status.FAIL]
    assert any("failed with debug-exit status 3" in line for line in read.cases[1].comments)


def ktap_text(story: Story) -> str:
    target = story.project.root / "out.ktap"
    report.write(story, [("ktap", str(target))], "", targets.put)
    return target.read_text()


def test_junit_counts_and_names_the_suite(story: MakeStory) -> None:
    told = story(a=PASS, b=FAIL, c=SKIP, d=LOST, e=CTRL_C)
    target = told.project.root / "out.xml"
    report.write(told, [("junit", str(target))], "", targets.put)
    root = ET.fromstring(target.read_text())
    counts = [root.get(name) for name in ("name", "tests", "failures", "errors", "skipped")]
    assert counts == ["payloads", "5", "1", "1", "2"]
    failed = root.find(".//testcase[@name='b']")
    assert failed is not None
    assert failed.get("classname") == "payloads.own"
    repeated = failed.findtext("system-out")
    assert repeated is not None and "./invoke payload --suite" in repeated and "-k b" in repeated


def test_the_json_has_every_test_and_what_was_not_run(story: MakeStory) -> None:
    told = story(a=PASS, b=FAIL, c=CTRL_C, left_out=("old",))
    target = told.project.root / "new" / "out.json"
    report.write(told, [], str(target), targets.put)
    found = json.loads(target.read_text())
    assert [found[name] for name in ("planned", "cells", "passed", "failed", "exit_code")] == [
        *(3, 2, 1, 1, 1),
    ]
    assert (found["not_run"], found["left_out"], found["interrupted"]) == (["c"], ["old"], True)
    failed = found["results"][1]
    assert failed["reason"] == "check-failed"
    assert failed["repeat"].endswith("-k b")
    named = (found["kernels"], found["vmm_id"], found["commit"], found["command"])
    assert named == ({"": "k1"}, "v1", "1234+", "./invoke payload --suite own")


def test_a_hostile_payloads_words_add_no_line_to_a_report(story: MakeStory) -> None:
    told = story("FAIL: x\x1b[2J\u2028not ok 7 forged # SKIP\n", a=FAIL)
    lines = ktap_text(told).splitlines()
    assert not any(line.strip().startswith("not ok 7") for line in lines)
    assert "\x1b" not in ktap_text(told)


def test_outputs_are_named_by_their_suffix_or_format() -> None:
    assert report.parse_outputs(["a.xml", "ktap:-", "b.json"]) == [
        ("junit", "a.xml"),
        ("ktap", "-"),
        ("json", "b.json"),
    ]
    with pytest.raises(UserError, match=r"--output a\.pdf"):
        report.parse_outputs(["a.pdf"])
    with pytest.raises(UserError, match="two reports are to be written to -"):
        report.parse_outputs(["ktap:-", "junit:-"])
    with pytest.raises(UserError, match="both want stdout"):
        report.check_stdout([("ktap", "-")], "-")
