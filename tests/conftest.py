# SPDX-License-Identifier: GPL-2.0-only
"""The order of the whole suite: what takes longest begins first, on workers of their own."""

from __future__ import annotations

import pytest


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("lab") is not None:
        return 0
    return 1 if item.path.name == "test_cpp.py" else 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
