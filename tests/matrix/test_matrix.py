# SPDX-License-Identifier: GPL-2.0-only
"""The cells of the matrix as tests: ``./invoke test --matrix``."""

from __future__ import annotations

import pytest

from kvm.matrix.cell import Cell
from kvm.matrix.cellrun import CellRunner
from kvm.matrix.plugin import run_cell


# Each attempt has its workload's deadline; this one is only for when that fails.
@pytest.mark.timeout(3600)
def test_cell(request: pytest.FixtureRequest, matrix_runner: CellRunner, cell: Cell) -> None:
    run_cell(request, matrix_runner, cell)
