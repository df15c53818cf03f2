# SPDX-License-Identifier: GPL-2.0-only
"""The stages of a boot, one after the other. Seconds; zero is the decision to start the VMM."""

from __future__ import annotations

from collections.abc import Iterator

from kvm.report.timeline.initcalls import boot_events
from kvm.report.timeline.reading import Reading
from kvm.report.timeline.spans import Span

HOST, VMM, LOADER = "host kernel", "VMM start", "loader"
EARLY, INITCALLS, INIT, COMMAND = "early boot", "initcalls", "init", "command"

_NO_HELLO = "did not come to its hello"


def stages(reading: Reading) -> tuple[Span, ...]:
    """The stages that took place, as far as the record shows."""
    entered_s = reading.vmm_start_s or 0.0
    guest = (
        Span(name, entered_s + start_s, max(end_s - start_s, 0.0), "stage", note)
        for name, start_s, end_s, note in _guest(reading)
    )
    return (*_host(reading), *guest)


def _host(reading: Reading) -> Iterator[Span]:
    """Stages until the guest is entered. The loader is drawn at the end of its stage."""
    if reading.host_boot_s:
        note = "the lab host's boot, right before zero"
        yield Span(HOST, -reading.host_boot_s, reading.host_boot_s, "stage", note)
    if reading.vmm_start_s is None:
        return
    load_s = min(reading.load_s or 0.0, reading.vmm_start_s)
    note = "" if reading.load_s is not None else "with the loader, which was not measured"
    yield Span(VMM, 0.0, reading.vmm_start_s - load_s, "stage", note)
    if reading.load_s is not None:
        note = "kernel and initrd into guest memory"
        yield Span(LOADER, reading.vmm_start_s - load_s, load_s, "stage", note)


Piece = tuple[str, float, float, str]


def _guest(reading: Reading) -> Iterator[Piece]:
    """Pieces of the guest's time: name, start and end since guest entry, note."""
    hello_s = reading.guest_init_s
    if not reading.events:
        if hello_s is not None:
            yield EARLY, 0.0, hello_s, "until init's hello: the guest told of nothing in between"
    else:
        yield from _told(reading)
    if hello_s is not None and reading.command_s is not None:
        yield COMMAND, hello_s, hello_s + reading.command_s, ""


def _told(reading: Reading) -> Iterator[Piece]:
    """The guest's boot, divided by its events."""
    hello_s = reading.guest_init_s
    end_s = reading.last_s if hello_s is None else hello_s
    at_s = 0.0
    ran_program = any(event.kind == "init" for event in reading.events)
    if called := boot_events(reading):
        first_s, at_s = called[0].t_s, called[-1].t_s
        yield EARLY, 0.0, first_s, ""
        if hello_s is None and not ran_program:
            yield INITCALLS, first_s, end_s, "the kernel did not come to its first program"
            return
        yield INITCALLS, first_s, at_s, ""
    elif ran_program:
        at_s = min(reading.booted_s, end_s)
        yield EARLY, 0.0, at_s, "the guest told of no initcalls"
    else:
        yield EARLY, 0.0, end_s, "the guest told of no initcalls and of no first program"
        return
    yield INIT, at_s, end_s, _NO_HELLO if hello_s is None else ""
