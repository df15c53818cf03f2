# SPDX-License-Identifier: GPL-2.0-only
"""Boots the sides in turn: seconds to HELLO and exits of each boot (QEMU reports no exits)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from kvm.bench.inside.vmms import Lost, our_events, qemu, steady

_BOOT_DEADLINE_S = 30.0


def main(job: dict[str, Any]) -> None:
    """Interleave the runs; one of each comes first, unmeasured, to warm the page cache."""
    sides: dict[str, Callable[[], tuple[float, int]]] = {
        "qemu": lambda: (_boot_qemu(job), 0),
        "ours": lambda: _boot_ours(job, job["guest_events"]),
        "silent": lambda: _boot_ours(job, "none"),
    }
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in job["sides"]}
    for number in range(job["runs"] + 1):
        # Each side goes first equally often.
        for name in job["sides"][:: -1 if number % 2 else 1]:
            seconds, count = steady(sides[name])
            print(f"run {number}: {name} {seconds:.3f} s, {count} exits", flush=True)
            if number:
                found[name].append((seconds, count))
    print(json.dumps(found))


def _boot_ours(job: dict[str, Any], guest_events: str) -> tuple[float, int]:
    spec = {
        "kernel": job["kernel"],
        "initrd": job["initrd"],
        "cmdline": job["cmdline"],
        "memory_mib": job["memory_mib"],
        "rng": False,
        "guest_events": guest_events,
    }
    start = time.monotonic()
    hello = None
    for event in our_events(spec, ["true"], start + _BOOT_DEADLINE_S):
        if event["event"] == "hello":
            hello = time.monotonic() - start
        if event["event"] in ("result", "error"):
            if hello is None:
                raise Lost(f"our VMM did not boot: {event}")
            return hello, sum(event["exits"]["reasons"].values())
    raise Lost("our VMM ended without a result")


def _boot_qemu(job: dict[str, Any]) -> float:
    """Seconds from the start of QEMU to the first bytes of HELLO on its agent port."""
    start = time.monotonic()
    machine = ("-M", "microvm,acpi=off")
    with qemu(machine, job, "virtio-serial-device", patience_s=_BOOT_DEADLINE_S) as (_, agent):
        if not agent.recv(1):
            raise Lost("QEMU ended before its guest said hello")
        return time.monotonic() - start
