# SPDX-License-Identifier: GPL-2.0-only
"""A payload's own status, its verdict, and the exit code for that."""

from __future__ import annotations

import pytest

from kvm.verdict.judge import judge
from kvm.verdict.observation import Deadline, Observation
from kvm.verdict.payload import exit_code_of, outcome_of
from kvm.verdict.vocabulary import Outcome, Reason, Verdict


def judged(**facts: object) -> tuple[str, str, int]:
    outcome = judge(Observation(payload="x.flat", **facts))  # type: ignore[arg-type]
    return outcome.verdict.value, outcome.reason.value, exit_code_of(outcome)


@pytest.mark.parametrize(
    ("status", "verdict", "reason", "code"),
    [
        (1, "PASS", "ok", 0),
        (3, "FAIL", "check-failed", 1),
        (77, "SKIP", "none", 4),
        (124, "FAIL", "timeout", 124),
        (127, "FAIL", "guest-exit", 1),
        (9, "FAIL", "guest-exit", 1),
    ],
)
def test_each_status_has_its_verdict(status: int, verdict: str, reason: str, code: int) -> None:
    assert judged(stop="debug_exit", stop_detail=str(status)) == (verdict, reason, code)
    assert str(status) in outcome_of("x.flat", status).summary


def test_a_payload_that_does_not_end_by_itself_has_not_passed() -> None:
    assert judged(stop="reset") == ("FAIL", "guest-exit", 1)
    assert judged(stop="shutdown") == ("FAIL", "guest-exit", 1)
    assert judged(stop="guest_panic") == ("FAIL", "kernel-panic", 1)
    assert judged(stop="internal_error") == ("FAIL", "vmm-error", 1)
    expired = judged(stop="stopped", deadline=Deadline.TOTAL, deadline_s=3.0)
    assert expired == ("FAIL", "timeout", 124)
    assert judged() == ("ERROR", "infrastructure", 125)


def test_a_payloads_death_is_said_to_be_its_own() -> None:
    assert "while x.flat ran" in judge(Observation(payload="x.flat", stop="shutdown")).summary


def test_what_does_not_compile_can_t_be_judged() -> None:
    assert exit_code_of(Outcome(Verdict.FAIL, Reason.BUILD_FAILURE, "")) == 125


def test_a_kernel_that_tells_of_a_panic_through_pvpanic_failed() -> None:
    outcome = judge(Observation(stop="guest_panic", stop_detail="pvpanic, port 0x505"))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.KERNEL_PANIC)
