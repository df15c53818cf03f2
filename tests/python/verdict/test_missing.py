# SPDX-License-Identifier: GPL-2.0-only
"""A device that was requested and is not in the guest spoils a pass; who is to blame for it."""

from __future__ import annotations

import dataclasses
from typing import Any

from kvm.verdict.console import parse_console
from kvm.verdict.judge import Deadline, Observation, judge
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

PASSED = Observation(
    command=("true",), hello=True, exit_code=0, stop="reset", stop_detail="0xcf9", worker_status=0
)
RUNNING: dict[str, Any] = {"exit_code": None, "stop": "stopped"}
PANIC = parse_console("[    1.000000] Kernel panic - not syncing: why\n")
WARN = parse_console(
    "[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 odd+0x1/0x2\n"
    "[    1.000003] ---[ end trace 0000000000000000 ]---\n"
)
LACKING = "/mnt/s: the guest's kernel has no 9p by virtio (CONFIG_9P_FS, CONFIG_NET_9P_VIRTIO)"


def _judge(**changes: Any) -> Outcome:
    return judge(dataclasses.replace(PASSED, **changes))


def test_what_the_kernel_was_built_without_is_no_pass_and_no_failure() -> None:
    for changes in ({}, {"exit_code": 1}, {"exit_code": 126}, {"exit_code": None}):
        outcome = _judge(lacking=LACKING, **changes)
        assert (outcome.verdict, outcome.reason) == (Verdict.ERROR, Reason.INFRASTRUCTURE)
        assert outcome.summary == LACKING


def test_what_a_kernel_that_has_the_driver_does_not_find_is_a_failure() -> None:
    outcome = _judge(missing="1 of 2 disks are there: virtio_blk did not take the others")
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.CHECK_FAILED)
    assert outcome.signature.startswith("not there: ")
    assert _judge(missing="a disk", lacking=LACKING).reason is Reason.CHECK_FAILED


def test_a_kernels_own_words_come_before_what_it_lacks() -> None:
    for findings, reason in ((PANIC, Reason.KERNEL_PANIC), (WARN, Reason.KERNEL_WARNING)):
        assert _judge(lacking=LACKING, findings=findings).reason is reason
    assert _judge(missing="a disk", findings=PANIC).reason is Reason.KERNEL_PANIC
    silent = {"deadline": Deadline.SILENCE, "deadline_s": 6.0, **RUNNING}
    assert _judge(lacking=LACKING, **silent).reason is Reason.HANG
    waiting = {"deadline": Deadline.TOTAL, "deadline_s": 60.0, **RUNNING}
    assert _judge(lacking=LACKING, **waiting).summary == LACKING
