# SPDX-License-Identifier: GPL-2.0-only
"""The two ways a command ends early, each with the words its user needs."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: bad input, a missing tool, a full disk.

    ``message`` names the file, line or value at fault; ``mend`` says what to do.
    """

    exit_code = 2

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.mend}" if self.mend else self.message


class BuildError(UserError):
    """A compile failed. ``errors`` holds the compiler's own lines (file:line first).

    A revision that does not compile can't show whether it has the bug being
    hunted: 125, "cannot tell".
    """

    exit_code = 125

    def __init__(self, message: str, errors: tuple[str, ...] = (), mend: str = "") -> None:
        super().__init__(message, mend)
        self.errors = errors


class InfrastructureError(UserError):
    """The surroundings failed (QEMU died, the lab host did not start): no verdict on the code.

    Exits with 125, which ``git bisect run`` takes as "cannot tell".
    """

    exit_code = 125
