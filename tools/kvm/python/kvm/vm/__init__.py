# SPDX-License-Identifier: GPL-2.0-only
"""The VMM: ``MachineSpec`` says what to run, ``Machine`` runs it in this process.

``Machine`` needs the compiled core, so it is imported on first use only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvm.spec.disk import DiskSpec
from kvm.spec.machine import MachineSpec

if TYPE_CHECKING:
    from kvm.vm.machine import Machine

__all__ = ["DiskSpec", "Machine", "MachineSpec"]


def __getattr__(name: str) -> Any:
    if name == "Machine":
        from kvm.vm.machine import Machine

        return Machine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
