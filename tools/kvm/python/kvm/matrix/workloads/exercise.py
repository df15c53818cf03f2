# SPDX-License-Identifier: GPL-2.0-only
"""Runs ``exercise`` in a guest and makes its results the cell's.

``tools/kvm/guest/exercise`` reports in KTAP: the figures as a comment, then the result. A report
without its plan is incomplete and counts as a failure. Called by the workloads.
"""

from __future__ import annotations

import re
from typing import Unpack

from kvm.guest.build import build_exercise
from kvm.guest.initramfs import ExtraFile
from kvm.matrix.workload import Bench, Boot, Wants
from kvm.verdict.ktap import Status, parse

_BEGIN = "KTAP version 1"
_PLAN = re.compile(r"1\.\.\d+")


def program(bench: Bench) -> ExtraFile:
    """``exercise``, for a guest's ``/bin``."""
    return ExtraFile(build_exercise(bench.project), "/bin/exercise")


def run(bench: Bench, script: str, **wants: Unpack[Wants]) -> Boot:
    """Boot with a shell script that calls ``exercise``; its reports become checks.

    The script ends at its first command that fails.
    """
    wants["files"] = (program(bench),)
    boot = bench.boot("sh", "-ec", script, **wants)
    take_reports(bench, boot.text)
    return boot


def take_reports(bench: Bench, text: str) -> None:
    """Take each result as a check, with the comments before it as its note."""
    reports = text.split(_BEGIN)[1:]
    bench.check("exercises report", bool(reports), f"{len(reports)} reports")
    for number, report in enumerate(reports, 1):
        lines = _lines(report)
        for case in parse(lines).cases:
            bench.check(case.name, case.status is Status.PASS, "; ".join(case.comments))
        if not any(_PLAN.fullmatch(line) for line in lines):
            bench.check(f"report {number} is complete", False, f"it ends with {lines[-1:]}")


def figures(text: str, name: str) -> dict[str, str]:
    """The ``key=value`` words of the last comment ``# NAME key=value ...``."""
    found = re.findall(rf"^# {re.escape(name)} (\S+=.*)$", text, re.MULTILINE)
    return dict(word.split("=", 1) for word in found[-1].split()) if found else {}


def _lines(report: str) -> list[str]:
    """The lines of the report, without what the script prints after the plan."""
    lines: list[str] = []
    for line in report.splitlines():
        lines.append(line)
        if _PLAN.fullmatch(line):
            break
    return lines
