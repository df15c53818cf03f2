# SPDX-License-Identifier: GPL-2.0-only
"""``bench memory``: the memory of our VMM's process beyond its guest's, compared with QEMU's.

A machine with console, rng, a disk and a user network idles in one lab host. Ours is reported with
Python and without; the latter is how much the process has grown since its imports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kvm.bench import lab
from kvm.bench.result import Figures
from kvm.guest.initramfs import build_initramfs
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves
from kvm.spec.json_form import to_json
from kvm.spec.network import NetSpec, guest_words

MEMORY_MIB = 256
PEER = "qemu-microvm"
_CMDLINE = "quiet console=ttyS0 8250.nr_uarts=1 reboot=p panic=-1 pci=off"


@dataclass(frozen=True, slots=True)
class MemoryBench:
    """Resident KiB beyond the guest's memory; ``python`` is the part before there is a machine."""

    ours_kib: int
    python_kib: int
    peer_kib: int

    @property
    def ratio(self) -> float:
        """Ours with Python over the peer's: below 1 we need less."""
        return self.ours_kib / self.peer_kib

    @property
    def machine_kib(self) -> int:
        """Ours without Python."""
        return self.ours_kib - self.python_kib

    def to_json(self) -> dict[str, Any]:
        return {
            "ratios": {PEER: round(self.ratio, 3)},
            "beyond_guest_kib": {
                "tools-kvm": self.ours_kib,
                "tools-kvm without Python": self.machine_kib,
                PEER: self.peer_kib,
            },
        }


def report(project: Project, progress: Progress, *, runs: int) -> Figures:
    """Measure and render the result."""
    result = measure(project, progress)
    return Figures(
        result.to_json(),
        f"tools-kvm       {result.ours_kib / 1024:.1f} MiB beyond the guest's memory, "
        f"{result.machine_kib / 1024:.1f} MiB of it without Python\n"
        f"{PEER}    {result.peer_kib / 1024:.1f} MiB\n"
        f"ratio           {result.ratio:.2f}\n",
    )


def measure(project: Project, progress: Progress) -> MemoryBench:
    """Run the comparison in a lab host."""
    built = halves.build(project, progress)
    nets = (NetSpec.parse("user"),)
    job = {
        "kernel": str(built.kernel.vmlinux),
        "initrd": str(build_initramfs(project)),
        "cmdline": f"{_CMDLINE} {guest_words(nets)}",
        "memory_mib": MEMORY_MIB,
        "net": to_json(nets[0]),
        "command": ["sh", "-c", "sleep 0.5; echo up; sleep 2"],
    }
    found: dict[str, int] = lab.ask(
        project, progress, built, "memory", job, title="two machines", timeout_s=240
    )
    return MemoryBench(found["ours"], found["python"], found[PEER])
