# SPDX-License-Identifier: GPL-2.0-only
"""The words that this process was started with."""

from __future__ import annotations

import shlex
import sys


def after_dashes() -> tuple[str, ...]:
    """The words after ``--``, as they were typed (invoke joins them and loses the quoting)."""
    words = sys.argv[1:]
    return tuple(words[words.index("--") + 1 :]) if "--" in words else ()


def typed() -> str:
    """The command line as a person types it."""
    words = sys.argv[1:]
    if words[:1] == ["--search-root"]:  # the wrapper's
        words = words[2:]
    return shlex.join(["./invoke", *words])
