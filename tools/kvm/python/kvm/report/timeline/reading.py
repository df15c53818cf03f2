# SPDX-License-Identifier: GPL-2.0-only
"""A run record's times and events, made safe for computing and display.

Names, times and counts of events come from a guest, and a record may be old or cut short:
impossible values are left out or moved to the nearest possible one, and counted. Event times are
seconds since the first vCPU entered the guest, as in the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kvm.guest.event_log import Event
from kvm.output.words import one_line

MAX_NAME = 80
MAX_SECONDS = 86_400.0
_MAX_VALUE = 1 << 31
_NO_NAME = "(no name)"


@dataclass(frozen=True, slots=True)
class Reading:
    """Durations are None if the record does not have them.

    ``source`` is "" for a record from before there were events. ``moved`` counts events with an
    impossible time, ``unreadable`` those without one.
    """

    source: str = ""
    events: tuple[Event, ...] = ()
    host_boot_s: float | None = None
    vmm_start_s: float | None = None
    load_s: float | None = None
    guest_init_s: float | None = None
    command_s: float | None = None
    lost: int = 0
    refused: int = 0
    moved: int = 0
    unreadable: int = 0

    @property
    def last_s(self) -> float:
        """The last moment of which anything is known, since guest entry."""
        last_event = self.events[-1].t_s if self.events else 0.0
        return max(last_event, (self.guest_init_s or 0.0) + (self.command_s or 0.0))

    @property
    def booted_s(self) -> float:
        """When the kernel finished its own boot, since guest entry; infinite if never."""
        execs = (event.t_s for event in self.events if event.kind == "init")
        hello = math.inf if self.guest_init_s is None else self.guest_init_s
        return min(next(execs, math.inf), hello)


def read(record: Mapping[str, Any]) -> Reading:
    times = _mapping(record.get("timings_s"))
    losses = _mapping(record.get("events_lost"))
    hello, command = duration(times.get("guest_init")), duration(times.get("command"))
    found, unreadable = _events(record.get("events"))
    total = duration(times.get("total"))
    limit = MAX_SECONDS if total is None else total + 1.0
    events, moved = _possible(found, limit, (hello or 0.0) + (command or 0.0))
    return Reading(
        source=name(record["event_source"]) if "event_source" in record else "",
        events=events,
        host_boot_s=duration(times.get("host_boot")),
        vmm_start_s=duration(times.get("vmm_start")),
        load_s=duration(times.get("load")),
        guest_init_s=hello,
        command_s=command,
        lost=_count(losses.get("guest")),
        refused=_count(losses.get("refused")),
        moved=moved,
        unreadable=unreadable,
    )


def name(value: object) -> str:
    """A printable name on one line, of limited length."""
    text = value if isinstance(value, str) else ""
    return one_line(text[: 4 * MAX_NAME], MAX_NAME) or _NO_NAME


def duration(value: object) -> float | None:
    """A duration in seconds; None if it is impossible."""
    found = _number(value)
    return found if found is not None and 0.0 <= found <= MAX_SECONDS else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _count(value: object) -> int:
    return int(min(max(_number(value) or 0, 0), _MAX_VALUE))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _events(items: object) -> tuple[list[Event], int]:
    """The events that have a time, and how many have none."""
    if not isinstance(items, list | tuple):
        return [], 0
    found = [event for item in items if (event := _event(_mapping(item))) is not None]
    return found, len(items) - len(found)


def _event(item: Mapping[str, Any]) -> Event | None:
    time_s = _number(item.get("t_s"))
    if time_s is None:
        return None
    value = max(min(_number(item.get("value")) or 0, _MAX_VALUE), -_MAX_VALUE)
    kind = item.get("kind")
    kind = kind if isinstance(kind, str) else "unknown"
    return Event(time_s, kind, name(item.get("name")), int(value))


def _possible(events: list[Event], limit_s: float, known_s: float) -> tuple[tuple[Event, ...], int]:
    """The events in order of time, with impossible times moved to the ends of the known range."""
    possible = [event.t_s for event in events if 0.0 <= event.t_s <= limit_s]
    last_s = max([known_s, *possible])
    placed = [
        Event(min(max(event.t_s, 0.0), last_s), event.kind, event.name, event.value)
        for event in events
    ]
    return tuple(sorted(placed, key=_time)), len(events) - len(possible)


def _time(event: Event) -> float:
    return event.t_s
