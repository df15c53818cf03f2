# SPDX-License-Identifier: GPL-2.0-only
"""The boot workload: which of its checks a kernel is held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kvm.matrix.workload import Bench
from kvm.matrix.workloads.boot import boot

OUR_CONSOLE = "earlyprintk=debugport,keep console=ttynull"
STOCK_CONSOLE = "earlyprintk=ttyS0 console=ttyS0"


@dataclass
class FakeBench:
    """A machine of one vCPU that booted with this command line and took so many exits."""

    cmdline: str
    exits: int
    transport: str = "mmio"
    checks: dict[str, bool] = field(default_factory=dict)

    @property
    def cell(self) -> object:
        return SimpleNamespace(
            vcpus=1, rng=True, spare_disks=0, append="", config="default", transport=self.transport
        )

    def boot(self, *command: str, append: str = "") -> object:
        return SimpleNamespace(
            record=SimpleNamespace(
                guest=SimpleNamespace(cpus=1, transport="virtio"),
                kernel=SimpleNamespace(release="6.12.117+g1a2b3c4d5e6f"),
                exits=SimpleNamespace(total=self.exits, reasons={"io": self.exits}),
            ),
            text=f"6.12.117\n1\n2\n0.3 0.2\n{self.cmdline}\n",
        )

    def check(self, name: str, ok: bool, note: str = "") -> None:
        self.checks[name] = ok


def checks(bench: FakeBench) -> dict[str, bool]:
    boot(cast(Bench, cast(Any, bench)))
    return bench.checks


@pytest.mark.parametrize(("transport", "most"), [("mmio", 800), ("pci", 3000)])
def test_a_kernel_with_our_debug_port_takes_few_exits(transport: str, most: int) -> None:
    assert checks(FakeBench(OUR_CONSOLE, most, transport))["exits"]
    assert not checks(FakeBench(OUR_CONSOLE, most + 1, transport))["exits"]


def test_exits_of_a_kernel_without_our_debug_port_are_not_judged() -> None:
    found = checks(FakeBench(STOCK_CONSOLE, 1255))
    assert "exits" not in found
    assert found.pop("virtio devices")
    assert all(found.values())
