# SPDX-License-Identifier: GPL-2.0-only
"""When a cell is run again, and the verdict on its attempts."""

from __future__ import annotations

import pytest

from kvm.matrix.steadiness import summed_up, wants_another
from kvm.results.model import Attempt
from kvm.verdict.vocabulary import Reason, Verdict

PASS = Attempt(Verdict.PASS, Reason.OK, "held")
FAIL = Attempt(Verdict.FAIL, Reason.KERNEL_OOPS, "oops", "oops at f")
OTHER = Attempt(Verdict.FAIL, Reason.HANG, "silent", "hang at g")
ERROR = Attempt(Verdict.ERROR, Reason.INFRASTRUCTURE, "QEMU died")
BUILD = Attempt(Verdict.ERROR, Reason.BUILD_FAILURE, "does not compile")
SKIP = Attempt(Verdict.SKIP, Reason.NONE, "not here")


@pytest.mark.parametrize(
    ("attempts", "again"),
    [
        ([], True),
        ([PASS], False),
        ([SKIP], False),
        ([FAIL], True),
        ([FAIL, FAIL], False),
        ([FAIL, OTHER], True),
        ([FAIL, OTHER, FAIL], False),
        ([FAIL, PASS], True),
        ([FAIL, PASS, PASS], True),
        ([FAIL, PASS, PASS, PASS], False),
        ([ERROR], True),
        ([ERROR, PASS], False),
        ([ERROR, ERROR, ERROR], True),
        ([ERROR, ERROR, ERROR, ERROR], False),
        ([BUILD], False),
    ],
)
def test_runs_until_the_verdict_is_clear(attempts: list[Attempt], again: bool) -> None:
    assert wants_another(attempts, 3) is again


def test_no_reruns_means_one_attempt() -> None:
    assert not wants_another([FAIL], 0)


@pytest.mark.parametrize(
    ("attempts", "verdict", "words"),
    [
        ([PASS], Verdict.PASS, "held"),
        ([FAIL, FAIL], Verdict.FAIL, "oops"),
        ([FAIL, PASS, PASS, PASS], Verdict.FLAKY, "FLAKY (1/4): oops"),
        ([FAIL, PASS, OTHER, PASS], Verdict.FLAKY, "FLAKY (2/4): oops"),
        ([ERROR, PASS], Verdict.PASS, "held"),
        ([ERROR, ERROR], Verdict.ERROR, "QEMU died"),
        ([ERROR, FAIL, FAIL], Verdict.FAIL, "oops"),
        ([SKIP], Verdict.SKIP, "not here"),
    ],
)
def test_attempts_add_up(attempts: list[Attempt], verdict: Verdict, words: str) -> None:
    total = summed_up(attempts)
    assert (total.verdict, total.summary) == (verdict, words)
