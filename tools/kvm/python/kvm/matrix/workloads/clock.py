# SPDX-License-Identifier: GPL-2.0-only
"""Time: the guest's clocks against the host's, and its timers."""

from __future__ import annotations

import time

from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise

_SECONDS = 5.0
_DRIFT = 0.01
# From the guest's last reading to the host's: the command's start and end, and its output's way.
_WAY_S = 0.15
_REALTIME_S = 3.0


def clock(bench: Bench) -> None:
    sources = "/sys/devices/system/clocksource/clocksource0"
    script = f"cat {sources}/current_clocksource; exercise clock {_SECONDS:g}"
    before = time.time()
    done = exercise.run(bench, script)
    after = time.time()
    source = (done.text.split() or [""])[0]
    bench.check("clock source", source in ("kvm-clock", "tsc"), f"{source}, kvm-clock or tsc")
    seen = {name: float(text) for name, text in exercise.figures(done.text, "clock").items()}
    host_s = done.record.timings.command or 0.0
    for name in ("monotonic", "realtime"):
        _check_drift(bench, name, seen.get(f"{name}_s", 0.0), host_s)
    start, end = seen.get("start", 0.0), seen.get("end", 0.0)
    bench.check(
        "the time of day is the host's",
        before - _REALTIME_S <= start <= end <= after + _REALTIME_S,
        f"{start:.3f} to {end:.3f} within {before:.3f} to {after:.3f}",
    )
    bench.measured("clock_interval_s", host_s)


def _check_drift(bench: Bench, name: str, guest_s: float, host_s: float) -> None:
    """The host's interval is the longer one, by the way that the messages take."""
    least, most = host_s * (1 - _DRIFT) - _WAY_S, host_s * (1 + _DRIFT)
    bench.check(
        f"{name} clock keeps the host's pace",
        guest_s >= _SECONDS and least <= guest_s <= most,
        f"{guest_s:.3f} s of the host's {host_s:.3f} s, {least:.3f} to {most:.3f} allowed",
    )


WORKLOADS = (
    Workload("clock", clock, "clocks keep the host's time, and timers are never early", 60.0),
)
