# SPDX-License-Identifier: GPL-2.0-only
"""What ``./invoke test`` builds and installs before the tests."""

from __future__ import annotations

import pytest


def require(there: object, what: str, command: str) -> None:
    """Fail unless it is there: a skipped test would look as good as one that passed."""
    if not there:
        pytest.fail(f"{what}: run `{command}`")
