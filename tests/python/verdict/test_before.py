# SPDX-License-Identifier: GPL-2.0-only
"""kvm.verdict.before: errors that keep a machine from starting, and whose fault they are."""

from __future__ import annotations

from kvm.errors import BuildError, InfrastructureError
from kvm.verdict.before import judge_error
from kvm.verdict.vocabulary import Reason, Verdict


def test_build_error_is_a_failure_that_a_bisection_skips() -> None:
    error = BuildError("the kernel does not build", ("virt/kvm/a.c:12:3: error: no member",))
    outcome = judge_error(error)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.BUILD_FAILURE)
    assert outcome.exit_code == 125
    assert outcome.signature == "build: virt/kvm/a.c: error: no member"
    assert outcome.evidence[0].lines == error.errors


def test_other_errors_before_the_run_blame_nobody() -> None:
    outcome = judge_error(InfrastructureError("QEMU is missing\nlooked in PATH", "install it"))
    assert (outcome.verdict, outcome.reason) == (Verdict.ERROR, Reason.INFRASTRUCTURE)
    assert outcome.summary == "QEMU is missing"
    assert outcome.evidence[0].lines == ("looked in PATH", "→ install it")
