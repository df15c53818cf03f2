# SPDX-License-Identifier: GPL-2.0-only
"""``bench events``: the cost of guest events in a boot.

The same kernel, initrd and machine boot with guest events and without, alternately in one lab host.
Measured from the start of the VMM's process to the HELLO of the guest's init; medians compared.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from kvm.bench.boot import in_turn
from kvm.bench.result import Figures
from kvm.output.progress import Progress
from kvm.project import Project


@dataclass(frozen=True, slots=True)
class EventsBench:
    """Seconds and exits of each boot, with guest events and without (silent)."""

    telling_s: tuple[float, ...]
    silent_s: tuple[float, ...]
    telling_exits: tuple[int, ...]
    silent_exits: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """The median with events over the one without: 1.02 is 2 % slower."""
        return statistics.median(self.telling_s) / statistics.median(self.silent_s)

    @property
    def more_exits(self) -> float:
        return statistics.median(self.telling_exits) - statistics.median(self.silent_exits)

    def to_json(self) -> dict[str, Any]:
        return {
            "ratios": {"silent": round(self.ratio, 4)},
            "median_s": {
                "telling": round(statistics.median(self.telling_s), 4),
                "silent": round(statistics.median(self.silent_s), 4),
            },
            "runs_s": {"telling": list(self.telling_s), "silent": list(self.silent_s)},
            "more_exits": self.more_exits,
            "runs": len(self.telling_s),
        }


def report(project: Project, progress: Progress, *, runs: int) -> Figures:
    """Measure and render the result."""
    result = measure(project, progress, runs=runs)
    return Figures(
        result.to_json(),
        f"with events  {statistics.median(result.telling_s):.3f} s\n"
        f"without      {statistics.median(result.silent_s):.3f} s\n"
        f"ratio        {result.ratio:.3f} and {result.more_exits:+.0f} exits to userspace "
        f"(median of {len(result.telling_s)} interleaved runs)\n",
    )


def measure(project: Project, progress: Progress, *, runs: int) -> EventsBench:
    """Run the comparison in a lab host."""
    found = in_turn(project, progress, ("ours", "silent"), runs=runs, guest_events="auto")
    telling, silent = found["ours"], found["silent"]
    return EventsBench(
        tuple(seconds for seconds, _ in telling),
        tuple(seconds for seconds, _ in silent),
        tuple(exits for _, exits in telling),
        tuple(exits for _, exits in silent),
    )
