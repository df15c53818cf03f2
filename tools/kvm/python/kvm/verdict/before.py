# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on a run that ended before its machine started."""

from __future__ import annotations

from kvm.errors import BuildError, UserError
from kvm.verdict.finding import normalise
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict


def judge_error(error: UserError) -> Outcome:
    """A compile error is the code's fault; any other error blames nobody."""
    summary, _, rest = error.message.partition("\n")
    lines = tuple(rest.splitlines())
    if isinstance(error, BuildError):
        lines = (*error.errors, *lines)
        items = (Evidence("compiler", lines),) if lines else ()
        named = normalise(error.errors[0]) if error.errors else summary
        signature = f"build: {named}"
        return Outcome(Verdict.FAIL, Reason.BUILD_FAILURE, summary, items, signature)
    lines = (*lines, f"→ {error.hint}") if error.hint else lines
    items = (Evidence("message", lines),) if lines else ()
    return Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, summary, items)
