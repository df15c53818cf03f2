# SPDX-License-Identifier: GPL-2.0-only
"""Finds initcalls and their levels in events. Times are seconds since guest entry."""

from __future__ import annotations

import errno
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from kvm.guest.event_log import Event
from kvm.report.timeline.reading import Reading

KINDS = frozenset(("level", "initcall_start", "initcall_finish"))


@dataclass(slots=True)
class Call:
    """``end_s`` is None if its return was not reported; ``value`` is what it returned."""

    name: str
    start_s: float
    end_s: float | None = None
    value: int = 0

    @property
    def seconds(self) -> float:
        return 0.0 if self.end_s is None else self.end_s - self.start_s

    @property
    def note(self) -> str:
        """What it returned, in words; "" if that was 0."""
        if self.value == 0:
            return ""
        code = errno.errorcode.get(-self.value)
        return f"returned {self.value}" + (f" ({code})" if code else "")


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    start_s: float
    end_s: float


def calls(events: Iterable[Event]) -> tuple[list[Call], int]:
    """Calls in order of start, and how many ended without a known start.

    A module's initcall runs in another process than the one that requested it, so an end is matched
    to the last open start by name alone.
    """
    found: list[Call] = []
    running: dict[str, list[Call]] = {}
    unmatched = 0
    for event in events:
        if event.kind == "initcall_start":
            call = Call(event.name, event.t_s)
            found.append(call)
            running.setdefault(event.name, []).append(call)
        elif event.kind == "initcall_finish":
            if begun := running.get(event.name):
                call = begun.pop()
                call.end_s, call.value = event.t_s, event.value
            else:
                unmatched += 1
    return found, unmatched


def boot_events(reading: Reading) -> list[Event]:
    """Levels and initcalls until the first program ran; modules come later."""
    booted_s = reading.booted_s
    return [e for e in reading.events if e.kind in KINDS and e.t_s <= booted_s]


def levels(reading: Reading) -> list[Level]:
    """A level lasts until its last initcall event, because between levels the kernel does other
    things. A level without one lasts until the next level, or until the boot ended.
    """
    events = boot_events(reading)
    starts = [at for at, event in enumerate(events) if event.kind == "level"]
    found = []
    for at, until in itertools.pairwise([*starts, len(events)]):
        if until == len(events):
            end_s = _last_end(reading, events, at)
        else:
            end_s = events[until - 1 if until > at + 1 else until].t_s
        found.append(Level(events[at].name, events[at].t_s, end_s))
    return found


def _last_end(reading: Reading, events: list[Event], at: int) -> float:
    """The end of the last level, which began with ``events[at]``."""
    booted_s = reading.booted_s
    if math.isinf(booted_s):
        return reading.last_s
    return events[-1].t_s if at < len(events) - 1 else booted_s
