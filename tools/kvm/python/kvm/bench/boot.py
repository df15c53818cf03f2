# SPDX-License-Identifier: GPL-2.0-only
"""``bench boot``: our boot compared with QEMU microvm's with KVM, in the same lab host.

Both have the same kernel, initrd, command line and memory, and one vCPU. Measured from the start of
the VMM's process to the HELLO of the guest's init; runs are interleaved, medians compared.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from kvm.bench import lab
from kvm.bench.result import Figures
from kvm.guest.initramfs import build_initramfs
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves

CMDLINE = "quiet console=ttyS0 8250.nr_uarts=1 pci=off reboot=p panic=-1"
MEMORY_MIB = 200
PEER = "qemu-microvm"


@dataclass(frozen=True, slots=True)
class BootBench:
    """Seconds of each run, and the exits to userspace of each of our boots."""

    ours_s: tuple[float, ...]
    peer_s: tuple[float, ...]
    exits: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """Our median over the peer's: below 1 we are faster."""
        return statistics.median(self.ours_s) / statistics.median(self.peer_s)

    def to_json(self) -> dict[str, Any]:
        return {
            "ratios": {PEER: round(self.ratio, 3)},
            "median_s": {
                "tools-kvm": round(statistics.median(self.ours_s), 4),
                PEER: round(statistics.median(self.peer_s), 4),
            },
            "runs_s": {"tools-kvm": list(self.ours_s), PEER: list(self.peer_s)},
            "exits": {"median": statistics.median(self.exits), "max": max(self.exits)},
            "runs": len(self.ours_s),
        }


def report(project: Project, progress: Progress, *, runs: int) -> Figures:
    """Measure and render the result."""
    result = measure(project, progress, runs=runs)
    return Figures(
        result.to_json(),
        f"tools-kvm     {statistics.median(result.ours_s):.3f} s  "
        f"({statistics.median(result.exits):.0f} exits to userspace)\n"
        f"{PEER}  {statistics.median(result.peer_s):.3f} s\n"
        f"ratio         {result.ratio:.2f} (median of {len(result.ours_s)} interleaved runs)\n",
    )


def measure(project: Project, progress: Progress, *, runs: int) -> BootBench:
    """Run the comparison in a lab host."""
    # QEMU's guest has no VMM of ours to send events to.
    found = in_turn(project, progress, ("ours", "qemu"), runs=runs, guest_events="none")
    return BootBench(
        tuple(seconds for seconds, _ in found["ours"]),
        tuple(seconds for seconds, _ in found["qemu"]),
        tuple(exits for _, exits in found["ours"]),
    )


def in_turn(
    project: Project, progress: Progress, sides: tuple[str, ...], *, runs: int, guest_events: str
) -> dict[str, list[tuple[float, int]]]:
    """Boot the sides alternately in a lab host; return seconds to HELLO and exits of each boot.

    A side is ours, silent (ours without guest events) or qemu.
    """
    built = halves.build(project, progress)
    job = {
        "kernel": str(built.kernel.vmlinux),
        "initrd": str(build_initramfs(project)),
        "cmdline": CMDLINE,
        "memory_mib": MEMORY_MIB,
        "runs": runs,
        "sides": sides,
        "guest_events": guest_events,
    }
    title = f"{len(sides) * runs} boots"
    found: dict[str, list[tuple[float, int]]] = lab.ask(
        project, progress, built, "boot", job, title=title, timeout_s=60 + 30 * runs
    )
    return found
