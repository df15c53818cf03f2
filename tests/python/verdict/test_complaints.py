# SPDX-License-Identifier: GPL-2.0-only
"""Complaints that spoil a pass: those of the lab host, and unknown ones beside known ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kvm.verdict.console import parse_console
from kvm.verdict.judge import host_complaint, judge
from kvm.verdict.observation import Observation
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

PASSED = Observation(command=("true",), hello=True, exit_code=0, stop="reset")
WARN = parse_console("[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 odd+0x1/0x2\n")


def _judge(**changes: Any) -> Outcome:
    return judge(replace(PASSED, **changes))


def test_a_payload_is_judged_by_its_host_though_it_has_no_words_of_its_own() -> None:
    ended = {"payload": "msr.flat", "stop": "debug_exit", "stop_detail": "1"}
    told = {**ended, "allow_warnings": True}
    assert _judge(**told).verdict is Verdict.PASS
    assert _judge(**told, findings=WARN).verdict is Verdict.PASS
    outcome = _judge(**told, host_findings=WARN)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.KERNEL_WARNING)


@pytest.mark.parametrize("side", ["findings", "host_findings"])
def test_a_known_warning_does_not_hide_another(side: str) -> None:
    other = parse_console("[    1.000000] WARNING: CPU: 0 PID: 1 at b.c:9 g+0x1/0x2\n")
    known = frozenset({WARN[0].signature})
    assert _judge(known_warnings=known, **{side: WARN}).verdict is Verdict.PASS
    outcome = _judge(known_warnings=known, **{side: (*WARN, *other)})
    assert "at b.c:9 g" in outcome.summary


@pytest.mark.parametrize(
    ("console", "reason"),
    [
        ("[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n", Reason.KERNEL_WARNING),
        ("[    1.000000] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2\n", Reason.HOST_PANIC),
    ],
)
def test_a_suite_is_judged_by_its_host_too(console: str, reason: Reason) -> None:
    complaint = host_complaint(parse_console(console))
    assert complaint is not None
    assert (complaint.verdict, complaint.reason) == (Verdict.FAIL, reason)
    assert host_complaint(parse_console("[    1.000000] all is well\n")) is None
