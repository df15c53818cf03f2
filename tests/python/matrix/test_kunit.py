# SPDX-License-Identifier: GPL-2.0-only
"""KUnit's report is found on a console among other output of the kernel."""

from __future__ import annotations

from kvm.matrix.workloads.kunit import report_lines
from kvm.verdict import ktap

CONSOLE = """\
[    0.100000] Linux version 6.12
[    0.200000] KTAP version 1\r
[    0.200001] 1..2
[    0.200002]     KTAP version 1
[    0.200003]     # Subtest: first
[    0.200004]     1..2
[    0.200005]     ok 1 one
[    0.200006] clocksource: Switched to clocksource tsc
[    0.200007]     not ok 2 two
[    0.200008] not ok 1 first
[    0.200009][    T1]     KTAP version 1
[    0.200010][    T1]     1..1
[    0.200011][    T1]     ok 1 three # SKIP slow
[    0.200012][    T1] ok 2 second # SKIP
[    0.300000] Run /init as init process
ok 3 said by userspace
"""


def test_suites_and_their_cases_are_read() -> None:
    report = ktap.parse(report_lines(CONSOLE))
    assert report.problems == ()
    assert [(case.name, case.status.value) for case in report.cases] == [
        ("first", "fail"),
        ("second", "skip"),
    ]
    assert [leaf.name for leaf in report.leaves()] == ["one", "two", "three"]


def test_a_report_that_breaks_off_is_a_problem() -> None:
    report = ktap.parse(report_lines(CONSOLE.partition("[    0.200009]")[0]))
    assert report.problems


def test_a_console_without_one_has_no_cases() -> None:
    assert ktap.parse(report_lines("[    0.1] Linux\n")).cases == ()
