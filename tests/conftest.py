# SPDX-License-Identifier: GPL-2.0-only
"""The order of the whole suite: the longest tests begin first, on workers of their own."""

from __future__ import annotations

import signal

import pytest

# A shell starts background programs with SIGINT ignored, and the tests' own children would inherit
# that: a Ctrl-C could not be tested, and no shell could trap one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("lab") is not None:
        return 0
    return 1 if item.path.name == "test_cpp.py" else 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
