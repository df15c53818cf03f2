# SPDX-License-Identifier: GPL-2.0-only
"""``bench boot``: our boot against QEMU microvm's with KVM, side by side in one lab host.

Same kernel, initrd, command line, memory and one vCPU; from the start of the VMM's
process to the HELLO of the guest's init; runs interleaved; medians compared.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.errors import InfrastructureError, UserError
from kvm.guest.initramfs import build_initramfs
from kvm.project import Project
from kvm.report.live import Progress
from kvm.run import halves, hosts

CMDLINE = "quiet console=ttyS0 8250.nr_uarts=1 reboot=p panic=-1"
MEMORY_MIB = 200
PEER = "qemu-microvm"


@dataclass(frozen=True, slots=True)
class BootBench:
    """Seconds per run and the exits to userspace of each of our boots."""

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


def report(project: Project, progress: Progress, *, runs: int, json_target: str) -> str:
    """Measure and render; also writes the JSON when asked (alone on stdout for ``-``)."""
    result = measure(project, progress, runs=runs)
    text = json.dumps(result.to_json(), indent=2) + "\n"
    if json_target == "-":
        return text
    if json_target:
        Path(json_target).write_text(text)
    return (
        f"tools-kvm     {statistics.median(result.ours_s):.3f} s  "
        f"({statistics.median(result.exits):.0f} exits to userspace)\n"
        f"{PEER}  {statistics.median(result.peer_s):.3f} s\n"
        f"ratio         {result.ratio:.2f} (median of {len(result.ours_s)} interleaved runs)\n"
    )


def measure(project: Project, progress: Progress, *, runs: int) -> BootBench:
    """Run the comparison in a lab host."""
    # QEMU's guest has nobody to tell anything.
    found = in_turn(project, progress, ("ours", "qemu"), runs=runs, guest_events="none")
    return BootBench(
        tuple(seconds for seconds, _ in found["ours"]),
        tuple(seconds for seconds, _ in found["qemu"]),
        tuple(exits for _, exits in found["ours"]),
    )


def in_turn(
    project: Project, progress: Progress, sides: tuple[str, ...], *, runs: int, guest_events: str
) -> dict[str, list[tuple[float, int]]]:
    """Boot the sides by turns in a lab host: seconds to HELLO and exits of each boot.

    A side is ours, silent (ours without guest events) or qemu.
    """
    if runs < 1:
        raise UserError(f"--runs {runs}", "give at least 1, better 7 or more")
    built = halves.build(project, progress)
    job = {
        "artifact": str(built.vmm.folder),
        "kernel": str(built.kernel.vmlinux),
        "initrd": str(build_initramfs(project)),
        "cmdline": CMDLINE,
        "memory_mib": MEMORY_MIB,
        "runs": runs,
        "sides": sides,
        "guest_events": guest_events,
    }
    with progress.phase("lab host") as say:
        host = hosts.connect(project, "lab", built, say, patient=True).host
    try:
        with progress.phase(f"{len(sides) * runs} boots") as say:
            script = Path(__file__).with_name("in_lab.py")
            # -S: a site hook would put an editable install before the artifact, and build it.
            python = os.path.realpath(sys.executable)
            words = (python, "-I", "-S", script, json.dumps(job))
            code, output = host.run_command(words, on_output=say, timeout_s=60 + 30 * runs)
    finally:
        host.close()
    if code != 0:
        raise InfrastructureError(f"the bench did not finish in the lab host:\n{output[-2000:]}")
    answer: dict[str, list[tuple[float, int]]] = json.loads(output.strip().splitlines()[-1])
    return answer
