# SPDX-License-Identifier: GPL-2.0-only
"""What ``./invoke test`` builds and installs before the tests."""

from __future__ import annotations

from typing import TypeVar

import pytest

T = TypeVar("T")


def require(there: T | None, what: str, command: str) -> T:
    """Return what is there, or fail: a skipped test would look as good as one that passed."""
    if not there:
        pytest.fail(f"{what}: run `{command}`")
    return there
