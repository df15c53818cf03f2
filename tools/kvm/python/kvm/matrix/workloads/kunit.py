# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own unit tests, in a guest with the kernel of ``linux/configs/kunit.config``.

They run while the kernel boots, and report in KTAP on the console.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kvm.matrix.workload import Bench, Workload
from kvm.verdict import expected, ktap

# By default they are disabled, so that they do not run in a lab host with the same kernel. Tests
# that the kernel calls slow take minutes here; they are reported as skipped.
_APPEND = "kunit.enable=1 kunit.filter=speed>slow kunit.filter_action=skip"
# kunit_platform_device_add_twice_fails_test adds a device twice, and sysfs prints a stack.
_PROVOKED = ("a call trace of no known report in sysfs_warn_dup",)
_STAMP = re.compile(r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
_PLAN = re.compile(r"1\.\.(\d+)")


def report_lines(console: str) -> Iterator[str]:
    """The lines of KUnit's report without their stamps, from its version line to its last result.

    Output of other parts of the kernel in between is included; ``ktap`` takes it as comments.
    """
    planned = 0
    begun = False
    for raw in console.splitlines():
        stamp = _STAMP.match(raw)
        line = raw[stamp.end() :] if stamp else raw
        begun = begun or line == "KTAP version 1"
        if not begun:
            continue
        yield line
        if plan := _PLAN.match(line):
            planned = int(plan.group(1))
        if planned and re.match(rf"(?:not )?ok {planned} ", line):
            return


def _run(bench: Bench) -> None:
    known = expected.load(bench.project, "kunit")
    boot = bench.boot("true", append=_APPEND, quiet_s=60.0, known_warnings=_PROVOKED)
    report = ktap.parse(report_lines(boot.console))
    bench.check(
        "every suite of the kernel has reported",
        bool(report.cases) and not report.problems,
        "; ".join(report.problems) or f"{len(report.cases)} of them",
    )
    bench.measured("kunit", boot.seconds)
    bench.add(expected.apply(report.cases, known))


WORKLOAD = Workload(
    "kunit",
    _run,
    "the kernel's own unit tests pass in a guest",
    deadline_s=180.0,
)
