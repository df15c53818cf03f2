# SPDX-License-Identifier: GPL-2.0-only
"""Only the failure that is searched for is bad; everything else is good or can't tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kvm.bisect.confidence import Sequential
from kvm.bisect.decide import shows, verdict_of
from kvm.bisect.model import Failure, Mark, Run
from kvm.verdict.vocabulary import Reason, Verdict

HUNTED = Failure(Reason.KERNEL_OOPS, "oops in foo", "oops in foo")
STEADY = Sequential.steady(0.001)

BAD = Run(Verdict.FAIL, Reason.KERNEL_OOPS, "oops in foo", "oops in foo")
OTHER = Run(Verdict.FAIL, Reason.KERNEL_OOPS, "oops in bar", "oops in bar")
GOOD = Run(Verdict.PASS, Reason.OK, "")
TROUBLE = Run(Verdict.ERROR, Reason.INFRASTRUCTURE, "QEMU died")


@pytest.mark.parametrize(
    ("runs", "mark"),
    [
        ((), None),
        ((BAD,), Mark.BAD),
        ((GOOD,), Mark.GOOD),
        ((OTHER,), None),
        ((OTHER, OTHER), Mark.SKIP),
        ((OTHER, GOOD), Mark.GOOD),
        ((OTHER, BAD), Mark.BAD),
        ((TROUBLE, TROUBLE), None),
        ((TROUBLE, TROUBLE, TROUBLE), Mark.SKIP),
        ((TROUBLE, GOOD), Mark.GOOD),
    ],
)
def test_what_runs_amount_to(runs: tuple[Run, ...], mark: Mark | None) -> None:
    found = verdict_of(HUNTED, STEADY, runs)
    assert (found[0] if found else None) is mark


def test_a_machine_that_was_lost_once_shows_what_comes_and_goes_and_not_what_is_always_there() -> (
    None
):
    lost = replace(BAD, verdict=Verdict.FLAKY)
    assert not shows(HUNTED, lost)
    assert verdict_of(HUNTED, STEADY, (lost,)) == (Mark.GOOD, "passes")
    assert shows(replace(HUNTED, rate=0.3, steady=False), lost)


def test_a_failure_without_a_steady_signature_goes_by_its_reason() -> None:
    assert shows(replace(HUNTED, signature=""), OTHER)
    assert not shows(HUNTED, OTHER)
    assert not shows(replace(HUNTED, signature=""), replace(OTHER, reason=Reason.HANG))


def test_the_line_why_names_the_other_failure() -> None:
    found = verdict_of(HUNTED, STEADY, (OTHER, OTHER))
    assert found is not None and found[1] == "another failure, kernel-oops: oops in bar"
