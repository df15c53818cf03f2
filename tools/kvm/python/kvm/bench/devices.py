# SPDX-License-Identifier: GPL-2.0-only
"""``bench devices``: our block and network devices compared with QEMU's, with KVM in a lab host.

Ours on virtio-mmio is compared with QEMU's microvm, ours on virtio-pci with its q35: same kernel,
initrd and memory, one vCPU, the image in the host's page cache, libslirp's network for both. A
guest reads its disk, bypassing its page cache, and sends a checked TCP stream to its host and back.
Runs are interleaved, medians compared.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kvm.bench import lab
from kvm.bench.result import Figures
from kvm.errors import InfrastructureError
from kvm.guest.build import build_exercise
from kvm.guest.initramfs import ExtraFile, build_initramfs
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves
from kvm.spec.json_form import to_json
from kvm.spec.network import NetSpec, guest_words

PAIRS = (("ours-mmio", "qemu-microvm"), ("ours-pci", "qemu-q35"))
SIDES = tuple(side for pair in PAIRS for side in pair)
CMDLINE = "quiet console=ttyS0 8250.nr_uarts=1 reboot=p panic=-1"
MEMORY_MIB = 256
DISK_MIB = 64
_PORT = 5201
_STREAM_BYTES = 8 << 20
_SECONDS = 0.5  # for each kind of reads
_FIGURES = re.compile(r"(\w+)=([\d.]+)")


class Kind(NamedTuple):
    """A figure: ``step`` is the guest's; ``line`` begins the comment of ``exercise`` with it."""

    name: str
    step: str
    line: str
    unit: str
    per: str  # the unit for counting exits


KINDS = (
    Kind("sequential reads, 128 KiB", "sequential", "# rate", "MiB/s", "request"),
    Kind("random reads, 4 KiB", "random", "# rate", "/s", "request"),
    Kind("random reads, 4 KiB, 32 at once", "together", "# rate", "/s", "request"),
    Kind("TCP to the host", "stream", "# stream sent", "MiB/s", "MiB both ways"),
    Kind("TCP from the host", "stream", "# stream received", "MiB/s", "MiB both ways"),
)
_STEPS = {
    "sequential": f"rate /dev/vda {128 << 10} {_SECONDS} sequential 1",
    "random": f"rate /dev/vda 4096 {_SECONDS} random 1",
    "together": f"rate /dev/vda 4096 {_SECONDS} random 32",
    "stream": f"stream tcp:10.0.2.2:{_PORT} 7 {_STREAM_BYTES}",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind on one side, by run: speed in the kind's unit, exits by its ``per``."""

    speed: tuple[float, ...]
    exits: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "median": round(statistics.median(self.speed), 2),
            "runs": list(self.speed),
            "exits": round(statistics.median(self.exits), 2),
        }


@dataclass(frozen=True, slots=True)
class DevicesBench:
    """``found[side][kind's name]``."""

    found: Mapping[str, Mapping[str, Measured]]

    def ratio(self, ours: str, peer: str, kind: str) -> float:
        """Our median speed over the peer's: above 1 we are faster."""
        return statistics.median(self.found[ours][kind].speed) / statistics.median(
            self.found[peer][kind].speed
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "ratios": {
                f"{ours}/{peer}": {
                    kind.name: round(self.ratio(ours, peer, kind.name), 3) for kind in KINDS
                }
                for ours, peer in PAIRS
            },
            "measured": {
                side: {
                    kind.name: {"unit": kind.unit, "exits_per": kind.per}
                    | self.found[side][kind.name].to_json()
                    for kind in KINDS
                }
                for side in SIDES
            },
        }

    def table(self) -> str:
        return "\n".join(line for ours, peer in PAIRS for line in self._rows(ours, peer))

    def _rows(self, ours: str, peer: str) -> Iterable[str]:
        yield f"{'':34}{ours:>12}{peer:>14}{'ratio':>8}   exits per"
        for kind in KINDS:
            mine, other = self.found[ours][kind.name], self.found[peer][kind.name]
            yield (
                f"{f'{kind.name}, {kind.unit}':34.34}{statistics.median(mine.speed):>12.1f}"
                f"{statistics.median(other.speed):>14.1f}"
                f"{self.ratio(ours, peer, kind.name):>8.2f}   "
                f"{kind.per}: {statistics.median(mine.exits):.1f} "
                f"and {statistics.median(other.exits):.1f}"
            )
        runs = len(self.found[ours][KINDS[0].name].speed)
        yield f"(medians of {runs} interleaved runs)\n"


def report(project: Project, progress: Progress, *, runs: int) -> Figures:
    """Measure and render the result."""
    result = measure(project, progress, runs=runs)
    return Figures(result.to_json(), result.table())


def measure(project: Project, progress: Progress, *, runs: int) -> DevicesBench:
    """Run the comparison in a lab host."""
    built = halves.build(project, progress)
    exercise = build_exercise(project)
    nets = (NetSpec.parse("user,loopback"),)
    job = {
        "kernel": str(built.kernel.vmlinux),
        "initrd": str(build_initramfs(project, files=(ExtraFile(exercise, "/bin/exercise"),))),
        "exercise": str(exercise),
        "cmdline": f"{CMDLINE} {guest_words(nets)}",
        "memory_mib": MEMORY_MIB,
        "disk_mib": DISK_MIB,
        "port": _PORT,
        "net": to_json(nets[0]),
        "steps": list(_STEPS),
        "command": ["sh", "-ec", _script()],
        "runs": runs,
    }
    title = f"{len(SIDES) * runs} boots"
    found: dict[str, list[list[Any]]] = lab.ask(
        project, progress, built, "devices", job, title=title, timeout_s=120 + 200 * runs
    )
    return DevicesBench({side: _measured(side, found[side]) for side in SIDES})


def _script() -> str:
    return "; ".join(
        f"echo begin {name}; exercise {words}; echo end {name}" for name, words in _STEPS.items()
    )


def _measured(side: str, runs: Sequence[Sequence[Any]]) -> dict[str, Measured]:
    by_kind = {}
    for kind in KINDS:
        values = [
            _value(side, kind, lines, exits)
            for run in runs
            for name, lines, exits in run
            if name == kind.step
        ]
        by_kind[kind.name] = Measured(
            tuple(speed for speed, _ in values), tuple(exits for _, exits in values)
        )
    return by_kind


def _value(side: str, kind: Kind, lines: Sequence[str], exits: int) -> tuple[float, float]:
    """The speed, and the exits for each unit of the kind's ``per``."""
    line = next((line for line in lines if line.startswith(kind.line)), None)
    if line is None or any(line.startswith("not ok") for line in lines):
        raise InfrastructureError(f"{side}: {kind.step} went wrong in the guest:\n{lines}")
    figures = {name: float(value) for name, value in _FIGURES.findall(line)}
    if kind.step == "stream":
        return figures["mib_s"], exits / (2 * _STREAM_BYTES / (1 << 20))
    speed = figures["mib_s"] if kind.unit == "MiB/s" else figures["requests"] / figures["seconds"]
    return round(speed, 2), exits / figures["requests"]
