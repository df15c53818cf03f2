# SPDX-License-Identifier: GPL-2.0-only
"""What a run left behind becomes facts for the judge, and nothing is made up."""

from __future__ import annotations

from kvm.host.base import HostHung, HostPanic
from kvm.run import observe
from kvm.run.observe import Capture
from kvm.verdict.judge import judge
from kvm.verdict.vocabulary import Reason, Verdict


def test_a_kernel_that_panics_as_lab_host_is_a_kernel_panic() -> None:
    text = "[    0.100000] Kernel panic - not syncing: planted\n"
    outcome = judge(observe.not_up(HostPanic("it panicked", console=text), 3.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.KERNEL_PANIC)


def test_a_kernel_that_never_comes_up_is_a_hang() -> None:
    outcome = judge(observe.not_up(HostHung("silent", console=""), 120.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.HANG)


def test_a_capture_passes_all_on_and_keeps_the_beginning() -> None:
    out = bytearray()
    capture = Capture(out.extend, out.extend)
    for _ in range(100):
        capture.stdout(b"x" * 1024)
    assert len(out) == 100 << 10
    assert len(capture.text("stdout")) == 64 << 10
