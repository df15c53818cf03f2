# SPDX-License-Identifier: GPL-2.0-only
"""The run as JUnit XML, for CI systems that show test results.

There is a suite for each workload and a case for each cell. FAIL is a failure; ERROR and FLAKY are
errors: a flaky cell did fail, so the report is not green, but it does not say what is to blame.
A planned cell without a result is skipped.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from kvm.output.words import clean, one_line, verdict_words
from kvm.report.matrix.view import View
from kvm.report.matrix.why import why
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Verdict

_TAGS = {
    Verdict.FAIL: "failure",
    Verdict.ERROR: "error",
    Verdict.FLAKY: "error",
    Verdict.SKIP: "skipped",
}
_TAIL_LINES = 60


def junit(view: View) -> str:
    """The whole document."""
    root = ET.Element("testsuites", name=clean(view.name), time=f"{view.seconds:.3f}")
    by_workload: dict[str, list[CellResult]] = {}
    for result in view.cells.values():
        by_workload.setdefault(result.axes.get("workload", view.name), []).append(result)
    for workload, results in by_workload.items():
        _suite(root, workload, results, view)
    if view.missing:
        suite = ET.SubElement(root, "testsuite", name="not-run")
        for cell in view.missing:
            group = f"{clean(view.name)}.not-run"
            case = ET.SubElement(suite, "testcase", name=clean(cell), classname=group)
            ET.SubElement(case, "skipped", message="the run ended before it")
        _count(suite)
    _count(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, workload: str, results: Sequence[CellResult], view: View) -> None:
    name = clean(workload)
    seconds = sum(result.seconds for result in results)
    suite = ET.SubElement(root, "testsuite", name=name, time=f"{seconds:.3f}")
    for result in results:
        case = ET.SubElement(
            suite,
            "testcase",
            name=clean(result.cell),
            classname=f"{clean(view.name)}.{name}",
            time=f"{result.seconds:.3f}",
        )
        tag = _TAGS.get(result.verdict)
        if tag is not None:
            what = verdict_words(result.verdict, result.reason)
            told = ET.SubElement(case, tag, message=one_line(result.summary), type=what)
            told.text = "\n".join(why(result))
        output = (
            [row.text for row in view.consoles[result.cell].rows[-_TAIL_LINES:]]
            if (result.cell in view.consoles)
            else []
        )
        output += [f"repeat: {result.repeat}"] if result.repeat else []
        if output:
            ET.SubElement(case, "system-out").text = "\n".join(map(clean, output))
    _count(suite)


def _count(suite: ET.Element) -> None:
    cases = list(suite.iter("testcase"))
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
