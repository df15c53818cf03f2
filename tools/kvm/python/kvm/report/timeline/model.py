# SPDX-License-Identifier: GPL-2.0-only
"""One boot on one axis of time, computed from a run record.

All times are seconds. Zero is the decision to start the VMM; the guest is entered at
``entered_s``, where its events begin. The lab host's boot, if the command had to wait for one, is
before zero, so a guest's times are the same with and without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvm.report.timeline.initcalls import Call, calls, levels
from kvm.report.timeline.notes import notes
from kvm.report.timeline.reading import Reading, read
from kvm.report.timeline.spans import Mark, Span
from kvm.report.timeline.stages import stages

__all__ = ["LONG_S", "SLOWEST", "Mark", "Span", "Timeline"]

LONG_S = 0.001
SLOWEST = 20
_MARK_KINDS = frozenset(("init", "mark", "warn", "oops", "panic"))
_NO_RETURN = "did not return"
_NO_RETURN_TOLD = "no return told; events were lost"


@dataclass(frozen=True, slots=True)
class Timeline:
    """``initcalls`` are those of at least ``LONG_S`` and the unfinished, in order of start.

    The number of shorter ones is ``short_count``, their sum ``short_s``. ``slowest`` has up to
    ``SLOWEST`` initcalls of any length, the longest first, after the unfinished.
    ``source`` is hypercall, port or none. ``hello_s`` is None if init did not say hello.
    ``notes`` are sentences on what is missing and why.
    """

    source: str
    stages: tuple[Span, ...]
    levels: tuple[Span, ...]
    initcalls: tuple[Span, ...]
    short_count: int
    short_s: float
    slowest: tuple[Span, ...]
    marks: tuple[Mark, ...]
    start_s: float
    end_s: float
    entered_s: float
    hello_s: float | None
    notes: tuple[str, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Timeline:
        """Make it from ``RunRecord.to_json()`` or a file with it, even an old one."""
        reading = read(record)
        entered_s = reading.vmm_start_s or 0.0
        called, unmatched = calls(reading.events)
        spans = _spans(called, reading, entered_s)
        short = [span for span in spans if not _is_shown(span)]
        unfinished = sum(span.kind == "unfinished" for span in spans)
        return cls(
            source=reading.source or "none",
            stages=stages(reading),
            levels=_levels(reading, entered_s),
            initcalls=tuple(span for span in spans if _is_shown(span)),
            short_count=len(short),
            short_s=sum(span.seconds for span in short),
            slowest=_slowest(spans),
            marks=_marks(reading, entered_s),
            start_s=0.0 - (reading.host_boot_s or 0.0),
            end_s=entered_s + reading.last_s,
            entered_s=entered_s,
            hello_s=None if reading.guest_init_s is None else entered_s + reading.guest_init_s,
            notes=notes(reading, unfinished, unmatched),
        )


def _is_shown(span: Span) -> bool:
    return span.kind == "unfinished" or span.seconds >= LONG_S


def _spans(called: Iterable[Call], reading: Reading, entered_s: float) -> list[Span]:
    found = []
    for call in called:
        if call.end_s is None:
            kind, seconds = "unfinished", reading.last_s - call.start_s
            note = _NO_RETURN_TOLD if reading.lost or reading.refused else _NO_RETURN
        else:
            kind, seconds, note = "initcall", call.seconds, call.note
        found.append(Span(call.name, entered_s + call.start_s, seconds, kind, note))
    return found


def _slowest(spans: Sequence[Span]) -> tuple[Span, ...]:
    ordered = sorted(spans, key=lambda span: (span.kind != "unfinished", -span.seconds))
    return tuple(ordered[:SLOWEST])


def _levels(reading: Reading, entered_s: float) -> tuple[Span, ...]:
    return tuple(
        Span(level.name, entered_s + level.start_s, level.end_s - level.start_s, "level")
        for level in levels(reading)
    )


def _marks(reading: Reading, entered_s: float) -> tuple[Mark, ...]:
    return tuple(
        Mark(event.name, entered_s + event.t_s, event.kind)
        for event in reading.events
        if event.kind in _MARK_KINDS
    )
