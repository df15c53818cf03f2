# SPDX-License-Identifier: GPL-2.0-only
"""A guest's events in one run: collected as they come, converted to one time, summarized.

The guest stamps events by its own clock. Each batch also says when it was sent by that clock and
received by the host's: the least difference of the two is the offset of the clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOLD_LAST = 6
_DEATHS = ("oops", "panic")


@dataclass(frozen=True, slots=True)
class Event:
    """``t_s`` is seconds since the first vCPU entered the guest."""

    t_s: float
    kind: str
    name: str
    value: int

    def to_json(self) -> dict[str, Any]:
        return {"t_s": self.t_s, "kind": self.kind, "name": self.name, "value": self.value}


@dataclass(slots=True)
class EventLog:
    """``take`` the worker's events as they come, and its result at the end."""

    source: str = "none"
    offered: str = "none"
    lost: int = 0
    refused: int = 0
    _raw: list[tuple[int, str, int, str]] = field(default_factory=list)
    _offset_ns: int | None = None

    def take(self, batch: Mapping[str, Any]) -> None:
        """Take one batch (see ``kvm.vm.worker``)."""
        self._raw += [
            (int(t), str(kind), int(value), str(n)) for t, kind, value, n in batch["events"]
        ]
        self.lost, self.refused = int(batch["lost"]), int(batch["refused"])
        if batch["sent_ns"]:
            apart = int(batch["t_ns"]) - int(batch["sent_ns"])
            self._offset_ns = apart if self._offset_ns is None else min(apart, self._offset_ns)

    def end(self, result: Mapping[str, Any]) -> None:
        """Take the worker's result: how the events came, and those not yet sent by the guest."""
        self.source = str(result.get("events_source", "none"))
        self.offered = str(result.get("events_offered", "none"))
        for batch in result.get("events_unsent", ()):
            self.take(batch)

    def events(self, started_ns: int) -> tuple[Event, ...]:
        """All events in order; ``started_ns`` is when the guest was entered."""
        shift = (self._offset_ns or 0) - started_ns
        return tuple(
            Event(round((time_ns + shift) / 1e9, 7), kind, name, value)
            for time_ns, kind, value, name in self._raw
        )

    @property
    def running_initcall(self) -> str:
        """The last initcall that began and did not end; "" if there is none."""
        running: list[str] = []
        for _, kind, _, name in self._raw:
            if kind == "initcall_start":
                running.append(name)
            elif kind == "initcall_finish" and name in running:
                del running[running.index(name) :]
        return running[-1] if running else ""

    @property
    def death(self) -> tuple[str, str]:
        """The kind and name of the first oops or panic; ("", "") if the guest reported none."""
        return next(((kind, name) for _, kind, _, name in self._raw if kind in _DEATHS), ("", ""))

    def last(self) -> tuple[str, ...]:
        """The last few events in words."""
        return tuple(_words(event) for event in self._raw[-_TOLD_LAST:])


def _words(event: Sequence[Any]) -> str:
    time_ns, kind, value, name = event
    result = f" = {value}" if kind == "initcall_finish" else ""
    return f"{time_ns / 1e9:10.6f} {kind.replace('_', ' ')} {name}{result}"
