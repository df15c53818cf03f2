# SPDX-License-Identifier: GPL-2.0-only
"""JUnit, KTAP, JSON and Markdown are valid, have equal counts, and are not fooled by a guest."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET

from kvm.report.matrix.junit import junit
from kvm.report.matrix.ktap import ktap
from kvm.report.matrix.markdown import markdown
from kvm.report.matrix.summary_json import summary, summary_text
from kvm.report.matrix.view import View
from kvm.results.model import CellResult, MatrixRun
from kvm.verdict.ktap import Status, parse
from kvm.verdict.vocabulary import Evidence, Verdict
from support.matrix_run import STARTED, passed


def _without_last(view: View) -> View:
    """A run that was interrupted before its last cell."""
    cells = dict(view.cells)
    cells.popitem()
    return dataclasses.replace(view, cells=cells)


# JUnit


def test_junit_counts_agree_with_its_cases(view: View) -> None:
    root = ET.fromstring(junit(view).encode())
    assert root.tag == "testsuites"
    wanted = {"tests": "70", "failures": "3", "errors": "2", "skipped": "1"}
    assert {name: root.get(name) for name in wanted} == wanted
    for suite in root:
        assert suite.tag == "testsuite"
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    assert float(root.get("time", "")) == view.seconds


def test_junit_says_why_and_how_to_repeat(view: View) -> None:
    root = ET.fromstring(junit(view).encode())
    case = root.find(".//testcase[@name='lab-vcpus2-pci-blk_integrity']")
    assert case is not None
    failure, output = case.find("failure"), case.findtext("system-out") or ""
    assert failure is not None
    assert failure.get("type") == "FAIL kernel-oops"
    assert "virtblk_done+0x4b/0x110" in (failure.text or "")
    assert "Kernel panic - not syncing" in output
    assert output.endswith("repeat: ./invoke test --matrix --cell lab-vcpus2-pci-blk_integrity")
    checked = root.find(".//testcase[@name='lab-vcpus1-pci-clock']/failure")
    assert checked is not None and "not ok x86/dirty_log" in (checked.text or "")


def test_junit_calls_flaky_an_error(view: View) -> None:
    root = ET.fromstring(junit(view).encode())
    error = root.find(".//testcase[@name='lab-vcpus4-mmio-rng']/error")
    assert error is not None and error.get("type") == "FLAKY hang"


def test_junit_has_cells_that_did_not_run_as_skipped(view: View) -> None:
    root = ET.fromstring(junit(_without_last(view)).encode())
    assert (root.get("tests"), root.get("skipped")) == ("70", "2")


# KTAP


def test_ktap_reads_back_with_a_case_per_cell(view: View) -> None:
    report = parse(ktap(view).splitlines())
    assert report.problems == ()
    assert [case.name for case in report.cases] == list(view.cells)
    found = {case.name: case.status for case in report.cases}
    assert list(found.values()).count(Status.PASS) == 64
    assert found["lab-vcpus2-pci-blk_integrity"] is Status.FAIL
    assert found["lab-vcpus4-mmio-rng"] is Status.ERROR
    assert found["lab-vcpus4-pci-clock"] is Status.ERROR
    assert found["lab-vcpus1-pci-console_flood"] is Status.SKIP


def test_ktap_has_checks_as_children_and_flaky_in_words(view: View) -> None:
    text = ktap(view)
    clock = next(c for c in parse(text.splitlines()).cases if c.name == "lab-vcpus1-pci-clock")
    assert [child.name for child in clock.children] == ["boots", "x86"]
    assert len(clock.children[1].children) == 32
    assert "not ok 23 lab-vcpus4-mmio-rng # ERROR flaky: failed in 1 of 3 attempts" in text


def test_ktap_takes_no_result_from_a_guest(view: View) -> None:
    leaves = {leaf.name for leaf in parse(ktap(view).splitlines()).leaves()}
    assert not [name for name in leaves if name.startswith("forged")]


def test_ktap_has_cells_that_did_not_run_as_skipped(view: View) -> None:
    assert parse(ktap(_without_last(view)).splitlines()).cases[-1].status is Status.SKIP


# JSON


def test_json_counts_and_keeps_every_result(view: View) -> None:
    record = json.loads(summary_text(view.run, view.cells, view.changes))
    assert record == json.loads(json.dumps(summary(view.run, view.cells, view.changes)))
    assert (record["schema"], record["run"], record["cells"], record["planned"]) == (1, 2, 70, 70)
    verdicts = [record[key] for key in ("passed", "failed", "flaky", "error", "skipped")]
    assert verdicts == [64, 3, 1, 1, 1]
    assert record["timings_s"]["total"] == 151
    assert [CellResult.from_json(item) for item in record["results"]] == list(view.cells.values())
    assert record["changes"][0]["kind"] == "newly failing"
    assert record["not_run"] == []


def test_json_of_a_run_that_was_killed_has_no_end() -> None:
    record = summary(MatrixRun(1, STARTED, ("a", "b")), {"a": passed("a", started=STARTED + 1)})
    assert (record["ended"], record["not_run"]) == (None, ["b"])
    assert record["timings_s"]["total"] == 3.0


# Markdown


def test_markdown_lists_what_is_not_passing_and_counts_the_rest(view: View) -> None:
    text = markdown(view)
    assert text.startswith("## Matrix run 2: ✗ 3 FAIL, ! 1 ERROR, ≈ 1 FLAKY, ○ 1 SKIP, ✓ 64 PASS")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 6
    assert rows[1] == (
        "| ✗ FAIL kernel-oops | lab-vcpus2-pci-blk\\_integrity"
        " | kernel NULL pointer dereference in virtblk\\_done |"
    )
    assert "not ok x86/dirty_log" in text


def test_markdown_lets_no_guest_break_its_table_or_write_markup(view: View) -> None:
    text = markdown(view)
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) == 4, line
    tags = set(re.findall(r"</?([a-z]+)", text))
    assert tags == {"details", "summary", "pre"}
    assert text.count("<pre>") == text.count("</pre>") == 6
    assert "@everyone" not in text.split("<details>")[0]


def test_markdown_stays_below_what_a_ci_takes(view: View) -> None:
    loud = {
        str(number): passed(
            str(number),
            verdict=Verdict.FAIL,
            evidence=(Evidence("console", ("<" * 400,) * 80),) * 2,
        )
        for number in range(400)
    }
    text = markdown(dataclasses.replace(view, cells=loud))
    assert len(text.encode()) < 1_000_000
    assert "is left out, for size" in text
    assert "and 100 more" in text


def test_markdown_of_a_good_run_is_short(view: View) -> None:
    good = View(run=MatrixRun(3, STARTED, ("a",), ended=STARTED + 2), cells={"a": passed("a")})
    assert markdown(good) == (
        "## Matrix run 3: ✓ 1 PASS\n\nstarted 2027-01-15 08:00:00 UTC; took 2.0 s;"
        " kernel default c7636f27cb35e151.\n"
    )
