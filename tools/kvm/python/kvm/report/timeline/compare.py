# SPDX-License-Identifier: GPL-2.0-only
"""Compares two groups of boots by initcall and by stage. Times are in seconds.

A difference counts if all of this is true:

- the medians are at least ``LEAST_S`` apart;
- that is at least ``LEAST_SHARE`` of the median before;
- it is larger than the spread: the middle halves of both sides (first to third quartile) do
  not overlap. With one boot on a side this is its value; one odd boot among many does not matter.

An initcall is identified by its name alone: if several in a boot have the same, their times are
added. One that did not return has no time. An initcall is new if no boot before had it, and gone
if no boot after has it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from kvm.report.timeline.initcalls import calls
from kvm.report.timeline.reading import Reading, read
from kvm.report.timeline.stages import (
    COMMAND,
    EARLY,
    HOST,
    INIT,
    INITCALLS,
    LOADER,
    VMM,
    stages,
)

LEAST_S = 0.0005
LEAST_SHARE = 0.2
TO_HELLO = "entry to hello"
_STAGES = (HOST, VMM, LOADER, EARLY, INITCALLS, INIT, TO_HELLO, COMMAND)
_EPSILON = 1e-9  # times have 0.1 µs: rounding errors of a sum must not decide


@dataclass(frozen=True, slots=True)
class Sample:
    """One item's times in ``boots`` boots: their median, and the first and third quartile."""

    boots: int
    median_s: float
    low_s: float
    high_s: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Sample:
        if len(seconds) == 1:
            return cls(1, seconds[0], seconds[0], seconds[0])
        low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(len(seconds), median, low, high)

    def to_json(self) -> dict[str, Any]:
        return {field.name: _rounded(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` is None for a new item, ``after`` for one that is gone."""

    name: str
    before: Sample | None
    after: Sample | None

    @property
    def difference_s(self) -> float:
        """The difference; positive means slower."""
        before = 0.0 if self.before is None else self.before.median_s
        return (0.0 if self.after is None else self.after.median_s) - before

    @property
    def verdict(self) -> str:
        """new, gone, slower, faster or same."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        size = abs(self.difference_s) + _EPSILON
        if size < LEAST_S or size < LEAST_SHARE * self.before.median_s:
            return "same"
        if self.after.low_s > self.before.high_s:
            return "slower"
        return "faster" if self.after.high_s < self.before.low_s else "same"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "verdict": self.verdict,
            "difference_s": _rounded(self.difference_s),
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lists of initcalls begin with the largest difference; ``stages`` are in their own order.

    ``same`` counts the initcalls whose difference does not count. ``notes`` say what could not be
    compared.
    """

    before_boots: int
    after_boots: int
    slower: tuple[Change, ...]
    faster: tuple[Change, ...]
    new: tuple[Change, ...]
    gone: tuple[Change, ...]
    same: int
    stages: tuple[Change, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        lists = {
            name: [change.to_json() for change in getattr(self, name)]
            for name in ("slower", "faster", "new", "gone", "stages")
        }
        return {
            "before_boots": self.before_boots,
            "after_boots": self.after_boots,
            **lists,
            "same": self.same,
            "notes": list(self.notes),
        }


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare the run records of the boots on each side."""
    old, new = [read(record) for record in before], [read(record) for record in after]
    old_calls, new_calls = _samples(map(_calls, old)), _samples(map(_calls, new))
    notes = _notes(old_calls, new_calls)
    # If one side has no events, all initcalls would be new or gone.
    changes = [] if notes else _changes(old_calls, new_calls, sorted({*old_calls, *new_calls}))
    names = [name for name in _STAGES if not (notes and name in (EARLY, INITCALLS, INIT))]
    stage_changes = _changes(_samples(map(_stages, old)), _samples(map(_stages, new)), names)
    return Comparison(
        before_boots=len(old),
        after_boots=len(new),
        slower=_of(changes, "slower"),
        faster=_of(changes, "faster"),
        new=_of(changes, "new"),
        gone=_of(changes, "gone"),
        same=len(_of(changes, "same")),
        stages=tuple(stage_changes),
        notes=notes,
    )


def _calls(reading: Reading) -> dict[str, float]:
    found: dict[str, float] = {}
    for call in calls(reading.events)[0]:
        if call.end_s is not None:
            found[call.name] = found.get(call.name, 0.0) + call.seconds
    return found


def _stages(reading: Reading) -> dict[str, float]:
    """Times by stage. Without events, the guest's time until its hello is not divided."""
    found = {span.name: span.seconds for span in stages(reading)}
    if not reading.events:
        found.pop(EARLY, None)
    if reading.guest_init_s is not None:
        found[TO_HELLO] = reading.guest_init_s
    return found


def _samples(boots: Iterable[Mapping[str, float]]) -> dict[str, Sample]:
    gathered: dict[str, list[float]] = {}
    for boot in boots:
        for name, seconds in boot.items():
            gathered.setdefault(name, []).append(seconds)
    return {name: Sample.of(seconds) for name, seconds in gathered.items()}


def _changes(
    before: Mapping[str, Sample], after: Mapping[str, Sample], names: Iterable[str]
) -> list[Change]:
    return [
        Change(name, before.get(name), after.get(name))
        for name in names
        if name in before or name in after
    ]


def _of(changes: Iterable[Change], verdict: str) -> tuple[Change, ...]:
    chosen = (change for change in changes if change.verdict == verdict)
    return tuple(sorted(chosen, key=lambda change: -abs(change.difference_s)))


def _notes(before: Mapping[str, Sample], after: Mapping[str, Sample]) -> tuple[str, ...]:
    bare = [side for side, found in (("before", before), ("after", after)) if not found]
    if not bare:
        return ()
    where = " and ".join(bare)
    return (f"Initcalls are not compared: the boots {where} told of none that returned.",)


def _rounded(value: float) -> float:
    return round(value, 7)
