# SPDX-License-Identifier: GPL-2.0-only
"""Collects cells only when the matrix runs them, because it first builds the kernels they need."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name != "test_matrix.py":
        return None
    return None if config.getoption("--matrix-order", None) else True
