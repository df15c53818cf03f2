# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import itertools

import pytest

from kvm.verdict.vocabulary import (
    Evidence,
    Outcome,
    Reason,
    Verdict,
    exit_code,
    passed_on,
)


@pytest.mark.parametrize(
    ("verdict", "reason", "code"),
    [
        (Verdict.PASS, Reason.OK, 0),
        (Verdict.FAIL, Reason.KERNEL_PANIC, 1),
        (Verdict.FAIL, Reason.GUEST_EXIT, 1),
        (Verdict.FAIL, Reason.BUILD_FAILURE, 125),
        (Verdict.ERROR, Reason.INFRASTRUCTURE, 125),
        (Verdict.ERROR, Reason.VMM_ERROR, 125),
        (Verdict.SKIP, Reason.NONE, 125),
    ],
)
def test_exit_codes_speak_git_bisect(verdict: Verdict, reason: Reason, code: int) -> None:
    assert exit_code(verdict, reason) == code


def test_no_outcome_aborts_a_bisection() -> None:
    assert {exit_code(v, r) for v, r in itertools.product(Verdict, Reason)} == {0, 1, 125}


@pytest.mark.parametrize(
    ("guest", "ours"), [(0, 0), (1, 1), (7, 7), (125, 125), (127, 127), (128, 1), (139, 1), (-1, 1)]
)
def test_guest_exit_code_is_passed_on_below_128(guest: int, ours: int) -> None:
    assert passed_on(guest) == ours


def test_outcome_as_json() -> None:
    outcome = Outcome(
        Verdict.FAIL, Reason.HANG, "silent", (Evidence("console", ("a", "b")),), "sig"
    )
    assert outcome.to_json() == {
        "verdict": "FAIL",
        "reason": "hang",
        "summary": "silent",
        "signature": "sig",
        "evidence": [{"kind": "console", "lines": ["a", "b"]}],
    }
