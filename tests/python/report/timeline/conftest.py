# SPDX-License-Identifier: GPL-2.0-only
"""Run records of boots, in their JSON form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kvm.report.timeline.model import Timeline

Record = dict[str, Any]
Maker = Callable[..., Record]

HOSTILE = "</title><script>alert(1)</script>\x1b[31m\u202e" + "x" * 5000
TIMINGS = {"vmm_start": 0.05, "load": 0.02, "guest_init": 0.2, "command": 0.1, "total": 9.0}
BOOT = (
    (0.002, "level", "console", 0),
    (0.0021, "initcall_start", "con_init", 0),
    (0.0024, "initcall_finish", "con_init", 0),
    (0.010, "level", "early", 0),
    (0.011, "initcall_start", "rcu_init", 0),
    (0.013, "initcall_finish", "rcu_init", 0),
    (0.020, "level", "core", 0),
    (0.021, "initcall_start", "outer_init", 0),
    (0.022, "initcall_start", "module_init", 0),
    (0.025, "initcall_finish", "module_init", -19),
    (0.031, "initcall_finish", "outer_init", 0),
    (0.040, "level", "late", 0),
    (0.041, "warn", "check_flags", 0),
    (0.050, "initcall_start", "pci_init", 0),
    (0.110, "initcall_finish", "pci_init", 0),
    (0.150, "init", "init", 0),
    (0.210, "mark", "ready", 0),
)


@pytest.fixture
def make() -> Maker:
    """``make(events, source=..., lost=..., **timings)``; a timing of None removes it."""

    def _make(
        events: Iterable[tuple[Any, ...]] = BOOT,
        *,
        source: str = "hypercall",
        lost: int = 0,
        **timings: Any,
    ) -> Record:
        return {
            "schema": 1,
            "event_source": source,
            "events": [
                {"t_s": t_s, "kind": kind, "name": name, "value": value}
                for t_s, kind, name, value in events
            ],
            "events_lost": {"guest": lost, "refused": 0},
            "timings_s": {**TIMINGS, **timings},
        }

    return _make


@pytest.fixture
def booted(make: Maker) -> Timeline:
    return Timeline.from_record(make())


@pytest.fixture
def hostile(make: Maker) -> Record:
    """Every kind of event, with malicious names and numbers."""
    kinds = ("level", "initcall_start", "init", "warn", "oops", "panic", "mark", "unknown", HOSTILE)
    times = (-5.0, 0.01, 1e300, 0.1, -0.0, 3.0)
    events: list[tuple[Any, ...]] = [(t, kind, HOSTILE, -(10**30)) for t in times for kind in kinds]
    events += [(0.5, "initcall_finish", HOSTILE, 10**400), (None, "mark", "x", 0)]
    record = make(events, source=HOSTILE)
    record["events"] += [None, 7, {}, {"t_s": 10**400, "kind": [], "name": {}, "value": "x"}]
    return record


@pytest.fixture
def odd_records(make: Maker, hostile: Record) -> list[Record]:
    """Records that are cut short, old, or wrong: each must be shown somehow."""
    backwards = make(reversed(BOOT))
    no_times = make()
    no_times["timings_s"] = None
    return [
        {},
        {"timings_s": {}},
        {"events": "none", "events_lost": 3, "timings_s": [1]},
        make(()),
        make((), source="none", guest_init=None, command=None),
        make([(0.0, "level", "early", 0)], guest_init=None),
        make([(0.0, "oops", "f", 0)], vmm_start=None, guest_init=None, total=None),
        make(vmm_start=-1.0, load=10**400, guest_init="0.2", command=True, total=-1),
        make(guest_init=0.0, vmm_start=0.0, load=5.0),
        backwards,
        no_times,
        hostile,
    ]
