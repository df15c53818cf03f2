# SPDX-License-Identifier: GPL-2.0-only
"""Time: the guest's clocks against the host's, and its timers."""

from __future__ import annotations

import time

from kvm.matrix.workload import Bench, Boot, Workload
from kvm.matrix.workloads import exercise

_SECONDS = 5.0
_DRIFT = 0.01
# /proc/uptime has hundredths, and what the guest says reaches the VMM a moment later: its
# hello late makes its time look long, the command's end late makes it look short. On a busy
# machine with a guest that polls, hello took up to 0.17 s.
_HELLO_LATE_S = 0.2
_END_LATE_S = 0.06
_REALTIME_S = 3.0


def clock(bench: Bench) -> None:
    sources = "/sys/devices/system/clocksource/clocksource0"
    script = f"cat {sources}/current_clocksource; exercise clock {_SECONDS:g}; cat /proc/uptime"
    before = time.time()
    done = exercise.run(bench, script)
    after = time.time()
    source = (done.text.split() or [""])[0]
    bench.check("clock source", source in ("kvm-clock", "tsc"), f"{source}, kvm-clock or tsc")
    _check_pace(bench, done)
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


def _check_pace(bench: Bench, done: Boot) -> None:
    """From init's hello to the command's end, by the guest's clock and by its host's."""
    host_s = done.record.timings.command or 0.0
    words = done.text.splitlines()[-1].split() if done.text.strip() else []
    guest_s = float(words[0]) - done.record.guest.hello_uptime_s if len(words) == 2 else 0.0
    least_s = host_s * (1 - _DRIFT) - _END_LATE_S
    most_s = host_s * (1 + _DRIFT) + _HELLO_LATE_S
    bench.check(
        "the monotonic clock keeps the host's pace",
        guest_s >= _SECONDS and least_s <= guest_s <= most_s,
        f"{guest_s:.3f} s of the host's {host_s:.3f} s, {least_s:.3f} to {most_s:.3f} allowed",
    )
    bench.measured("clock_interval_s", host_s)


WORKLOADS = (
    Workload("clock", clock, "clocks keep the host's time, and timers are never early", 60.0),
)
