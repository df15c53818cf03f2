# SPDX-License-Identifier: GPL-2.0-only
"""One cell of the matrix: a machine and the workload in it."""

from __future__ import annotations

from dataclasses import dataclass

# In the order in which an id names them. A default value is left out, except for axes that are
# hard to guess.
AXES = (
    "host",
    "config",
    "vcpus",
    "memory",
    "transport",
    "ring",
    "devices",
    "cmdline",
    "workload",
)
ALWAYS_NAMED = ("host", "vcpus", "transport", "workload")


@dataclass(frozen=True, slots=True)
class Cell:
    """``append`` are the words that the cmdline axis' value stands for; ``rng`` and
    ``spare_disks`` follow from its devices value. ``memory_mib`` is the guest's."""

    host: str = "lab"
    config: str = "default"
    vcpus: int = 1
    memory_mib: int = 256
    transport: str = "mmio"
    ring: str = "split"
    devices: str = "standard"
    cmdline: str = "plain"
    workload: str = "boot"
    append: str = ""
    rng: bool = True
    spare_disks: int = 0

    @property
    def id(self) -> str:
        """Stable and readable: ``lab-vcpus2-mmio-blk_integrity``."""
        shown = {
            "host": self.host,
            "config": "" if self.config == "default" else self.config,
            "vcpus": f"vcpus{self.vcpus}",
            "memory": "" if self.memory_mib == 256 else f"mem{self.memory_mib}",
            "transport": self.transport,
            "ring": "" if self.ring == "split" else self.ring,
            "devices": "" if self.devices == "standard" else self.devices,
            "cmdline": "" if self.cmdline == "plain" else self.cmdline,
            "workload": self.workload,
        }
        return "-".join(word for word in shown.values() if word)

    @property
    def axes(self) -> dict[str, str]:
        """Axis → value, as in ``--axis``."""
        return {
            "host": self.host,
            "config": self.config,
            "vcpus": str(self.vcpus),
            "memory": str(self.memory_mib),
            "transport": self.transport,
            "ring": self.ring,
            "devices": self.devices,
            "cmdline": self.cmdline,
            "workload": self.workload,
        }
