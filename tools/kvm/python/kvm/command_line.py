# SPDX-License-Identifier: GPL-2.0-only
"""The command line of this process."""

from __future__ import annotations

import shlex
import sys


def after_dashes() -> tuple[str, ...]:
    """The words after ``--``, as they were typed (invoke joins them and loses the quoting)."""
    words = sys.argv[1:]
    return tuple(words[words.index("--") + 1 :]) if "--" in words else ()


def typed() -> str:
    """The command line as a user types it."""
    words = sys.argv[1:]
    if words[:1] == ["--search-root"]:  # added by the wrapper
        words = words[2:]
    return shlex.join(["./invoke", *words])
