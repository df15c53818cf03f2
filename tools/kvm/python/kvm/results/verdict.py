# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on a whole run of the matrix, as an exit code."""

from __future__ import annotations

from collections.abc import Iterable

from kvm.results.model import CellResult
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD, Verdict


def exit_code(results: Iterable[CellResult], *, whole: bool) -> int:
    """FAIL is bad; ERROR and cells that were not reached are unknown."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return EXIT_BAD
    if Verdict.ERROR in verdicts or not whole:
        return EXIT_CANNOT_TELL
    return EXIT_GOOD
