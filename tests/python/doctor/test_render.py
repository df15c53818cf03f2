# SPDX-License-Identifier: GPL-2.0-only
"""kvm.doctor.render: plain lines, a table, JSON; the exit code in each."""

from __future__ import annotations

import io
import json

import pytest

from kvm.doctor.model import Check, Report, State
from kvm.doctor.render import show, text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def report() -> Report:
    checks = (
        Check("python", State.OK, "3.11.2"),
        Check("ccache", State.WARN, "missing: ccache", "sudo apt-get install ccache"),
        Check("qemu", State.BAD, "missing: [qemu]", "sudo apt-get install qemu-system-x86"),
    )
    return Report(checks, "none", "/dev/kvm is absent, and QEMU is missing")


def test_plain_output_is_a_line_a_check_with_its_mend(report: Report) -> None:
    out = io.StringIO()
    assert show(report, out=out) == 1
    assert out.getvalue().splitlines() == [
        "ok    python: 3.11.2",
        "warn  ccache: missing: ccache",
        "      → sudo apt-get install ccache",
        "bad   qemu: missing: [qemu]",
        "      → sudo apt-get install qemu-system-x86",
        "host auto: none (/dev/kvm is absent, and QEMU is missing)",
        "fix first: qemu",
    ]


def test_a_terminal_gets_a_table_with_the_same_words(report: Report) -> None:
    out = _Terminal()
    assert show(report, out=out) == 1
    for words in ("missing: [qemu]", "sudo apt-get install ccache", "host auto: none"):
        assert words in out.getvalue()


def test_json_says_the_same(report: Report) -> None:
    told = json.loads(text(report))
    assert told == report.to_json()
    assert told["healthy"] is False
    assert told["host"]["choice"] == "none"
    assert [check["state"] for check in told["checks"]] == ["ok", "warn", "bad"]


def test_warnings_alone_exit_with_zero(report: Report) -> None:
    out = io.StringIO()
    assert show(Report(report.checks[:2], "lab", "why"), out=out) == 0
    assert "build-and-boot can work here" in out.getvalue()
