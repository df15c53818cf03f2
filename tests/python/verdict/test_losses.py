# SPDX-License-Identifier: GPL-2.0-only
"""Losses of bytes and time outside the code under test are reported, and are no pass."""

from __future__ import annotations

import dataclasses
from typing import Any

from kvm.verdict.judge import Deadline, Observation, judge
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

PASSED = Observation(
    command=("true",), hello=True, exit_code=0, stop="reset", stop_detail="0xcf9", worker_status=0
)
RUNNING: dict[str, Any] = {"exit_code": None, "stop": "stopped"}


def _judge(**changes: Any) -> Outcome:
    return judge(dataclasses.replace(PASSED, **changes))


def test_output_that_nobody_read_is_no_pass_and_is_said_of_a_failure() -> None:
    passed = _judge(unread_bytes=4096)
    assert (passed.verdict, passed.reason) == (Verdict.ERROR, Reason.INFRASTRUCTURE)
    assert "4096 bytes of the output" in passed.summary
    failed = _judge(unread_bytes=1, exit_code=3)
    assert (failed.verdict, failed.reason) == (Verdict.FAIL, Reason.GUEST_EXIT)
    assert "1 bytes of the output" in failed.summary


def test_a_deadline_that_a_reader_used_up_is_not_the_codes() -> None:
    late = {"deadline": Deadline.TOTAL, "deadline_s": 60.0, **RUNNING}
    outcome = _judge(reader_s=40.0, **late)
    assert (outcome.verdict, outcome.reason) == (Verdict.ERROR, Reason.TIMEOUT)
    assert "40 s of that the output waited for its reader" in outcome.summary
    assert "reader" not in _judge(**late).summary
    assert _judge(reader_s=40.0).ok


def test_a_flooded_console_is_said_whatever_the_verdict() -> None:
    outcome = _judge(console_dropped_bytes=3 << 20)
    assert outcome.verdict is Verdict.PASS
    assert outcome.summary.endswith("the console was flooded, its last 3.0 MiB were not kept")
