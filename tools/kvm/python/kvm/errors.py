# SPDX-License-Identifier: GPL-2.0-only
"""How a command ends before its end, each way with the words its user needs.

The exit code that each stands for is in ``cli/call.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """Something the user can put right: a broken file, a missing tool, a full disk.

    ``message`` names the file, line or value at fault; ``hint`` says what to do. No verdict was
    reached, so ``git bisect run`` is told to skip the revision.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(UserError):
    """Wrong words on the command line: the same at each revision, so a bisection stops."""


class BuildError(UserError):
    """A compile failed. ``errors`` holds the compiler's own lines (file:line first).

    A revision that does not compile can't show whether it has the bug being hunted.
    """

    def __init__(self, message: str, errors: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.errors = errors


class InfrastructureError(UserError):
    """The surroundings failed (QEMU died, the lab host did not start): no verdict on the code."""


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """What is wrong in here is wrong with the words of the command line."""
    try:
        yield
    except UsageError:
        raise
    except UserError as wrong:
        raise UsageError(wrong.message, wrong.hint) from wrong
