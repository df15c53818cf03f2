# SPDX-License-Identifier: GPL-2.0-only
"""Errors that end a command, each with a message and a hint for the user.

The exit code for each is in ``cli/call.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """An error that the user can fix: a broken file, a missing tool, a full disk.

    ``message`` names the file, line or value at fault; ``hint`` says what to do. There is no
    verdict, so ``git bisect run`` skips the revision.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(UserError):
    """A wrong command line. It is wrong at each revision, so a bisection stops."""


class BuildError(UserError):
    """A compile failed. ``errors`` holds the compiler's own lines (file:line first).

    A revision that does not compile can't show whether it has the bug that is searched for.
    """

    def __init__(self, message: str, errors: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint)
        self.errors = errors


class InfrastructureError(UserError):
    """The surroundings failed (QEMU died, the lab host did not start): no verdict on the code."""


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Errors raised inside are errors of the command line."""
    try:
        yield
    except UsageError:
        raise
    except UserError as wrong:
        raise UsageError(wrong.message, wrong.hint) from wrong
