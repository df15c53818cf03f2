# SPDX-License-Identifier: GPL-2.0-only
"""The exit code of a run of the matrix."""

from __future__ import annotations

import pytest

from kvm.results.verdict import exit_code
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD, Verdict
from support.matrix_run import passed


@pytest.mark.parametrize(
    ("verdict", "whole", "code"),
    [
        (Verdict.PASS, True, EXIT_GOOD),
        (Verdict.PASS, False, EXIT_CANNOT_TELL),
        (Verdict.FLAKY, False, EXIT_CANNOT_TELL),
        (Verdict.ERROR, True, EXIT_CANNOT_TELL),
        (Verdict.FAIL, True, EXIT_BAD),
        (Verdict.FAIL, False, EXIT_BAD),
    ],
)
def test_what_was_not_reached_is_not_good(verdict: Verdict, whole: bool, code: int) -> None:
    assert exit_code([passed(), passed("another", verdict=verdict)], whole=whole) == code
