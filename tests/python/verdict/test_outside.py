# SPDX-License-Identifier: GPL-2.0-only
"""Trouble from outside the code under test: a machine that was not run, or was killed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kvm.verdict.console import parse_console
from kvm.verdict.judge import Deadline, Observation, judge
from kvm.verdict.vocabulary import Reason, Verdict

PASSED = Observation(command=("true",), hello=True, exit_code=0, stop="reset", worker_status=0)
RUNNING: dict[str, Any] = {"exit_code": None, "stop": "stopped"}
PANIC = parse_console("[    1.000000] Kernel panic - not syncing: why\n")
LOCKUP = parse_console(
    "[   48.000001] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [insmod:91]\n"
    "[   48.000004] RIP: 0010:busy_wait+0x10/0x20\n"
)

CASES: dict[str, tuple[dict[str, Any], Verdict, Reason, str]] = {
    "silence-of-a-machine-that-was-not-run": (
        {"deadline": Deadline.UNRUN, "deadline_s": 120.2, "kept_s": 114.9, **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "silent or not done for 120 s while the command ran, "
        "but for 115 s this computer did not run the machine",
    ),
    "silence-of-a-machine-that-had-its-time-in-spite-of-all": (
        {"deadline": Deadline.SILENCE, "deadline_s": 6.0, "spoilt": True, **RUNNING},
        Verdict.FAIL,
        Reason.HANG,
        "silent for 6 s while the command ran",
    ),
    "stall-of-a-machine-that-was-not-run": (
        {"findings": LOCKUP, "spoilt": True, "kept_s": 30.0},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "soft lockup of insmod in busy_wait, but for 30 s this computer did not run the machine",
    ),
    "panic-of-a-machine-that-was-not-run": (
        {"findings": LOCKUP + PANIC, "spoilt": True, "exit_code": None},
        Verdict.FAIL,
        Reason.KERNEL_PANIC,
        "Kernel panic: why",
    ),
    "host-stall-of-a-machine-that-was-not-run": (
        {"host_findings": LOCKUP, "spoilt": True, "kept_s": 30.0, **RUNNING},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "soft lockup of insmod in busy_wait, but for 30 s this computer did not run the machine",
    ),
    "host-stall-of-one-that-was-not-run-and-went-through": (
        {"host_findings": LOCKUP, "spoilt": True, "kept_s": 30.0},
        Verdict.PASS,
        Reason.OK,
        "`true` exited with 0",
    ),
    "vmm-killed-from-outside": (
        {"worker_status": -9, "exit_code": None, "stop": None, "hello": False},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "the VMM was killed by SIGKILL before init said hello, "
        "by another process, or by a kernel that had no memory left",
    ),
    "vmm-terminated-from-outside": (
        {"worker_status": -15, "exit_code": None, "stop": None},
        Verdict.ERROR,
        Reason.INFRASTRUCTURE,
        "the VMM was killed by SIGTERM while the command ran, "
        "by another process, or by a kernel that had no memory left",
    ),
    "vmm-killed-on-purpose": (
        {"worker_status": -9, "exit_code": None, "stop": None, "expected": Reason.VMM_CRASH},
        Verdict.PASS,
        Reason.OK,
        "as expected: the VMM was killed by SIGKILL while the command ran",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    changes, verdict, reason, summary = CASES[name]
    outcome = judge(dataclasses.replace(PASSED, **changes))
    assert (outcome.verdict, outcome.reason, outcome.summary) == (verdict, reason, summary)


@pytest.mark.parametrize("number", [1, 2, 9, 15])
def test_a_signal_that_nothing_in_a_vmm_raises_blames_nobody(number: int) -> None:
    changed = dataclasses.replace(PASSED, worker_status=-number, **RUNNING)
    assert judge(changed).exit_code == 125


@pytest.mark.parametrize("number", [4, 6, 7, 8, 11])
def test_a_vmm_that_ends_itself_is_to_blame(number: int) -> None:
    changed = dataclasses.replace(PASSED, worker_status=-number, **RUNNING)
    assert judge(changed).reason is Reason.VMM_CRASH


def test_the_lab_hosts_words_on_a_killed_vmm_are_shown() -> None:
    words = "[   48.000001] WARNING: CPU: 0 PID: 1 at mm/a.c:1 odd+0x1/0x2\n"
    changed = dataclasses.replace(PASSED, worker_status=-9, host_findings=parse_console(words))
    assert "host console" in [item.kind for item in judge(changed).evidence]
