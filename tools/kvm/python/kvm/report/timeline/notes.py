# SPDX-License-Identifier: GPL-2.0-only
"""Sentences on what a timeline cannot show, and why."""

from __future__ import annotations

from collections.abc import Iterator

from kvm.output.words import plural
from kvm.report.timeline.reading import Reading

_KINDS = frozenset(
    ("level", "initcall_start", "initcall_finish", "init", "mark", "warn", "oops", "panic")
)
_HOW = {
    "hypercall": "The guest's kernel told of its boot by hypercalls.",
    "port": "The guest's kernel told of its boot through an I/O port.",
}


def source_words(source: str) -> str:
    """How the guest reported its boot, as a sentence."""
    return _HOW.get(source, "The guest's kernel did not tell of its boot.")


def notes(reading: Reading, unfinished: int, unmatched: int) -> tuple[str, ...]:
    return (
        *_missing_events(reading),
        *_missing_times(reading),
        *_odd(reading, unfinished, unmatched),
    )


def _missing_events(reading: Reading) -> Iterator[str]:
    if reading.events:
        return
    if reading.source == "":
        yield "The record is from before guests told of their boots: it has no events."
    elif reading.source in _HOW:
        yield "No event arrived: levels, initcalls and marks are missing."
    else:
        yield (
            "Levels, initcalls and marks are missing: only a kernel with"
            " CONFIG_KVM_GUEST_EVENTS=y, on a VMM that offers it a hypercall or a port, tells of"
            " them."
        )


def _missing_times(reading: Reading) -> Iterator[str]:
    if reading.vmm_start_s is None:
        yield (
            "How long the VMM took to start is not known: zero is the moment the guest was entered."
        )
    if reading.guest_init_s is None:
        yield "Init's hello is not known: the guest did not come so far."
    elif reading.command_s is None:
        yield "No command came to its end."


def _odd(reading: Reading, unfinished: int, unmatched: int) -> Iterator[str]:
    if reading.lost:
        yield f"{plural(reading.lost, 'event')} found no room in the guest and are lost."
    if reading.refused:
        yield f"{plural(reading.refused, 'event')} made no sense to the VMM, or were too many."
    if unfinished:
        yield f"{plural(unfinished, 'initcall')} did not return, as far as events tell."
    if unmatched:
        yield f"{plural(unmatched, 'initcall')} ended without having begun."
    if unknown := sum(event.kind not in _KINDS for event in reading.events):
        yield f"{plural(unknown, 'event')} of an unknown kind."
    if reading.moved:
        yield (
            f"{plural(reading.moved, 'event')} had an impossible time, and stand at the edge of"
            " what is known."
        )
    if reading.unreadable:
        yield f"{plural(reading.unreadable, 'event')} could not be read."
