# SPDX-License-Identifier: GPL-2.0-only
"""Each row of docs/kvmtool.md names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

from kvm.matrix.workloads import known

_SHOWN_BY = re.compile(r"`([^`]+)`$")


def test_every_row_names_a_test_that_is_there(root: Path) -> None:
    lines = (root / "docs" / "kvmtool.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")][2:]
    assert rows
    for row in rows:
        assert len(row) == 3, row
        named = _SHOWN_BY.search(row[2])
        assert named is not None, row
        path, _, function = named[1].partition("::")
        if "/" not in path:
            assert path in known(), row
        elif function:
            assert f"def {function}(" in (root / "tests" / path).read_text(), row
        else:
            assert (root / "tests" / path).is_file(), row
