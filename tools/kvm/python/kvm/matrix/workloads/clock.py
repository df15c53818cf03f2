# SPDX-License-Identifier: GPL-2.0-only
"""Time: compares the guest's clocks with the host's, and checks its timers."""

from __future__ import annotations

import time

from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise

_SECONDS = 5.0
_DRIFT = 0.01
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
    monotonic_s, realtime_s = seen.get("monotonic_s", 0.0), seen.get("realtime_s", 0.0)
    bench.check(
        "the time of day keeps the monotonic clock's pace",
        monotonic_s >= _SECONDS and abs(monotonic_s - realtime_s) <= _DRIFT * monotonic_s,
        f"{realtime_s:.4f} s of {monotonic_s:.4f} s",
    )
    start, end = seen.get("start", 0.0), seen.get("end", 0.0)
    bench.check(
        "the time of day is the host's",
        before - _REALTIME_S <= start <= end <= after + _REALTIME_S,
        f"{start:.3f} to {end:.3f} within {before:.3f} to {after:.3f}",
    )


WORKLOADS = (
    Workload("clock", clock, "clocks keep the host's time, and timers are never early", 60.0),
)
