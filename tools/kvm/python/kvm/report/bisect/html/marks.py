# SPDX-License-Identifier: GPL-2.0-only
"""The look of a mark: the colours of the verdicts, and a letter."""

from __future__ import annotations

from kvm.bisect.model import Commit, Mark
from kvm.output.words import one_line
from kvm.report.kit.marks import badge, code
from kvm.report.kit.tag import Markup, join, tag
from kvm.verdict.vocabulary import Verdict

LETTERS = {Mark.GOOD: "G", Mark.BAD: "B", Mark.SKIP: "S"}
VERDICTS = {Mark.GOOD: Verdict.PASS, Mark.BAD: Verdict.FAIL, Mark.SKIP: Verdict.SKIP}


def mark_badge(mark: Mark) -> Markup:
    return badge(VERDICTS[mark], mark.value, LETTERS[mark])


def named(commit: Commit) -> Markup:
    """A commit by its short id and subject."""
    return join(code(commit.short), " ", tag("span", one_line(commit.subject)))
