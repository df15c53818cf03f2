# SPDX-License-Identifier: GPL-2.0-only
"""The order of one matrix run, as a file: written once by the command, read by each worker.

``build/matrix/NUMBER/order.json`` has the cells, their kernels and the VMM (or why a kernel could
not be built), and the settings for all cells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.files import write_whole
from kvm.kernel.build import Kernel
from kvm.matrix.cell import Cell
from kvm.verdict.known import KnownWarnings
from kvm.vm.build import Vmm

FILE = "order.json"


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """A kernel that does not build; its cells report this."""

    message: str
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """``kernels`` are by config; ``slots`` is how many lab hosts may run at once.

    ``lab_kernels`` are the lab hosts', if they are not the guests' own (in a bisection).
    """

    cells: tuple[Cell, ...]
    vmm: Vmm
    kernels: Mapping[str, Kernel | BuildFailure]
    number: int = 0
    folder: Path = Path()
    reruns: int = 3
    user_workload: str = ""
    slots: int = 2
    lab_kernels: Mapping[str, Kernel | BuildFailure] = field(default_factory=dict)
    known_warnings: KnownWarnings | None = None

    def lab_kernel(self, config: str) -> Kernel | BuildFailure:
        """The kernel of a lab host with that config."""
        return self.lab_kernels.get(config) or self.kernels[config]

    def write(self, name: str = FILE) -> Path:
        """Write it to ``folder``; return the path."""
        path = self.folder / name
        write_whole(path, json.dumps(self._record(), indent=1))
        return path

    @classmethod
    def read(cls, path: Path) -> WorkOrder:
        """Read an order. Raises ``UserError`` for a file that is none."""
        try:
            record = json.loads(path.read_text())
            return cls(
                number=record["number"],
                folder=Path(record["folder"]),
                cells=tuple(Cell(**cell) for cell in record["cells"]),
                vmm=_vmm(record["vmm"]),
                kernels={name: _kernel(item) for name, item in record["kernels"].items()},
                reruns=record["reruns"],
                user_workload=record["user_workload"],
                slots=record["slots"],
                lab_kernels={n: _kernel(item) for n, item in record["lab_kernels"].items()},
                known_warnings=_known(record["known_warnings"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as bad:
            raise UserError(
                f"{path} is not the order of a matrix run: {bad}", "use ./invoke test --matrix"
            ) from bad

    def _record(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "folder": str(self.folder),
            "cells": [asdict(cell) for cell in self.cells],
            "vmm": _plain(self.vmm),
            "kernels": {name: _plain(item) for name, item in self.kernels.items()},
            "reruns": self.reruns,
            "user_workload": self.user_workload,
            "slots": self.slots,
            "lab_kernels": {name: _plain(item) for name, item in self.lab_kernels.items()},
            "known_warnings": self.known_warnings and self.known_warnings.to_json(),
        }


def _plain(item: Vmm | Kernel | BuildFailure) -> dict[str, Any]:
    record = asdict(item)
    return {k: str(v) if isinstance(v, Path) else v for k, v in record.items()}


def _known(record: Mapping[str, Any] | None) -> KnownWarnings | None:
    return None if record is None else KnownWarnings.from_json(record)


def _vmm(record: Mapping[str, Any]) -> Vmm:
    return Vmm(**{**record, "folder": Path(record["folder"])})


def _kernel(record: Mapping[str, Any]) -> Kernel | BuildFailure:
    if "errors" in record:
        return BuildFailure(record["message"], tuple(record["errors"]))
    return Kernel(**{**record, "folder": Path(record["folder"])})
