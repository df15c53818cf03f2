# SPDX-License-Identifier: GPL-2.0-only
"""An order is the same after its way to a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel.build import Kernel
from kvm.matrix.cell import Cell
from kvm.matrix.order import BuildFailure, WorkOrder
from kvm.verdict.known import KnownWarnings
from kvm.vm.build import Vmm


def test_an_order_reads_back_as_it_was_written(tmp_path: Path) -> None:
    kernel = Kernel("id", "image", "6.12.1", "source", "default", tmp_path / "kernel", 1.5, True)
    order = WorkOrder(
        number=7,
        folder=tmp_path,
        cells=(Cell(workload="smp", vcpus=2), Cell(devices="norng", rng=False)),
        vmm=Vmm("vmm", tmp_path / "vmm", 0.5, False),
        kernels={"default": kernel, "debug": BuildFailure("no", ("a.c:1: error",))},
        reruns=1,
        user_workload="sh -c 'x y'",
        slots=3,
        known_warnings=KnownWarnings(tmp_path / "known", {"a in f": 1}),
    )
    assert WorkOrder.read(order.write()) == order


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"number": 1}'])
def test_a_file_that_is_no_order_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "order.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"order\.json is not the order"):
        WorkOrder.read(path)
