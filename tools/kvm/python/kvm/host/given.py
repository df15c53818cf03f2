# SPDX-License-Identifier: GPL-2.0-only
"""How much of its time this computer gives to a machine, and a clock that counts only that.

A silent machine hangs, or it was not run: it was stopped, or waited for a CPU that others had or
for this computer's disk. Only a hang is the fault of the code in it. The kernel reports for each
thread how long it was ready but did not run (proc(5), ``schedstat``), and for a virtual computer
how much of its CPUs' time went elsewhere (``steal``).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

# Stopped by a signal or a debugger, or waiting for a disk (which swapped memory is, too).
_NOT_RUN = "TtD"
_IDLE_COLUMNS = (3, 4)  # of /proc/stat: idle and iowait
_STEAL_COLUMN = 7
_GUEST_COLUMN = 8  # the columns from here on are included in user and nice
# The clock is looked at more often than this; if not, this process was not run itself.
_LATE_S = 1.0
_LOOK_EVERY_S = 0.25
# A kernel's own stall detectors use its clock, which goes on while it is not run. Their limits are
# 20 seconds and more; if this much of that was kept, their findings mean nothing.
_WINDOW_S = 20.0
SPOILT_S = 5.0

# How long to wait by the wall clock: a multiple of the time needed, and at least so many seconds.
_MOST_TIMES = 3.0
_MOST_S = 120.0

Look = Callable[[], float]


class Kept:
    """For how long this computer did not run one process; a call returns the time since the
    last."""

    def __init__(self, pid: int | None, proc: Path = Path("/proc")) -> None:
        self._process = None if pid is None else proc / str(pid)
        self._stat = proc / "stat"
        self._waits: dict[str, int] = {}
        self._cpus = (0, 0)
        self._looked = time.monotonic()
        self()

    def __call__(self) -> float:
        """Seconds, at most as many as have passed."""
        now = time.monotonic()
        seconds, self._looked = now - self._looked, now
        waited, stood = self._threads()
        return seconds if stood else min(waited + seconds * self._stolen(), seconds)

    def _threads(self) -> tuple[float, bool]:
        """The longest time that one thread waited for a CPU, and whether some thread can't run."""
        if self._process is None:
            return 0.0, False
        waits: dict[str, int] = {}
        stood = False
        with contextlib.suppress(OSError, ValueError):
            for task in (self._process / "task").iterdir():
                with contextlib.suppress(
                    OSError, ValueError, IndexError
                ):  # a thread that has just ended
                    state = (
                        (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                    )
                    stood = stood or state in _NOT_RUN
                    waits[task.name] = int((task / "schedstat").read_text().split()[1])
        before, self._waits = self._waits, waits
        new = (wait - before[name] for name, wait in waits.items() if name in before)
        return max(new, default=0) / 1e9, stood

    def _stolen(self) -> float:
        """The share of the busy time of this computer's CPUs that went elsewhere."""
        try:
            columns = self._stat.read_text().partition("\n")[0].split()[1:]
            numbers = [int(column) for column in columns[:_GUEST_COLUMN]]
            stolen = numbers[_STEAL_COLUMN]
        except (OSError, ValueError, IndexError):
            return 0.0
        wanted = sum(n for place, n in enumerate(numbers) if place not in _IDLE_COLUMNS)
        before, self._cpus = self._cpus, (stolen, wanted)
        new_stolen, new_wanted = stolen - before[0], wanted - before[1]
        return min(new_stolen / new_wanted, 1.0) if new_stolen > 0 and new_wanted > 0 else 0.0


class GivenClock:
    """Seconds given to a machine, as opposed to wall-clock time. Look at it often.

    If the machine was run half of the time, a second of that counts for half: caches are cold, and
    one emulated CPU spins for another that waits.
    """

    def __init__(self, kept: Look) -> None:
        self._kept = kept
        self._seen = self._looked = time.monotonic()
        self._late_s = 0.0
        self._window: deque[tuple[float, float]] = deque()
        self.given_s = 0.0
        self.kept_s = 0.0
        self.spoilt = False  # too much was kept at once to trust the machine's reports of stalls

    def look(self, *, now: bool = False) -> None:
        """Advance; the computer is looked at only every quarter second, or if ``now``."""
        at = time.monotonic()
        if at - self._seen > _LATE_S:
            self._late_s += at - self._seen
        self._seen = at
        if at > self._looked and (now or at - self._looked >= _LOOK_EVERY_S):
            self._go_on(at)

    def _go_on(self, at: float) -> None:
        seconds = at - self._looked
        kept = min(max(self._kept(), self._late_s), seconds)
        self.given_s += (seconds - kept) ** 2 / seconds
        self.kept_s += kept
        self._looked, self._late_s = at, 0.0
        self._window.append((at, kept))
        while self._window[0][0] < at - _WINDOW_S:
            self._window.popleft()
        self.spoilt = self.spoilt or sum(kept for _, kept in self._window) >= SPOILT_S


class Span:
    """The time since something began, by the machine's clock and by the wall clock."""

    def __init__(self, clock: GivenClock) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        self._begun = time.monotonic()
        self._given_s = self._clock.given_s

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._begun

    def had(self, limit_s: float) -> bool:
        """Whether the machine was given this much time."""
        if self.wall_s < limit_s:
            return False
        self._clock.look(now=True)
        return self._clock.given_s - self._given_s >= limit_s

    def wall_over(self, limit_s: float) -> bool:
        """Whether this much time has passed, whatever the machine was given."""
        return self.wall_s >= limit_s

    def hopeless(self, limit_s: float) -> bool:
        """Whether we waited long enough for a machine that needs this much, given or not."""
        return self.wall_s >= max(_MOST_TIMES * limit_s, _MOST_S)

    def over(self, limit_s: float) -> bool:
        return self.had(limit_s) or self.hopeless(limit_s)
