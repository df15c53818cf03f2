# SPDX-License-Identifier: GPL-2.0-only
"""The record of a run: one JSON object with everything that a script may need."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kvm.files import write_or_tell
from kvm.guest.event_log import EventLog
from kvm.host.choose import HostKind
from kvm.kernel.build import Kernel
from kvm.verdict.vocabulary import Outcome

SCHEMA_VERSION = 1
# Terminal controls and changes of text direction, which JSON does not escape.
_CONTROLS = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class KernelFacts:
    release: str = ""
    id: str = ""
    path: str = ""

    @classmethod
    def of(cls, kernel: Kernel) -> KernelFacts:
        """The facts of a kernel built here."""
        return cls(kernel.label, kernel.id, str(kernel.vmlinux))

    @classmethod
    def of_host(cls, host: str, hosting: Kernel, own: Kernel) -> KernelFacts | None:
        """Whose KVM it was, if a lab host ran another kernel (``hosting``) than the guest's own."""
        lab = host == HostKind.LAB.value
        return cls.of(hosting) if lab and hosting.id != own.id else None

    def to_json(self) -> dict[str, str]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """The machine, and how its command ended (None: it did not end, or there was none).

    ``hello_uptime_s`` is its uptime when its init said hello. ``stdout`` and ``stderr`` are
    the beginning of what the command wrote.
    """

    cpus: int = 1
    memory_mib: int = 0
    transport: str = ""
    hello_uptime_s: float = 0.0
    exit_code: int | None = None
    signal: int | None = None
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds per stage; None for a stage that did not happen.

    ``load`` is the part of ``vmm_start`` in which kernel and initrd were put in guest memory;
    ``kept`` is the total time in which this computer did not run the machine.
    """

    kernel_build: float | None = None
    vmm_build: float | None = None
    host_boot: float | None = None
    vmm_start: float | None = None
    load: float | None = None
    guest_init: float | None = None
    command: float | None = None
    kept: float | None = None
    total: float | None = None

    @property
    def build_s(self) -> float | None:
        return _sum(self.kernel_build, self.vmm_build)

    @property
    def boot_s(self) -> float | None:
        """Seconds from the decision to start a machine to its init's hello."""
        return _sum(self.vmm_start, self.guest_init)

    def to_json(self) -> dict[str, float | None]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: None if v is None else round(v, 6) for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class ExitCounts:
    """KVM exits that reached the VMM: by reason, I/O port, and device."""

    reasons: Mapping[str, int] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_result(cls, exits: Mapping[str, Mapping[str, int]] | None) -> ExitCounts:
        """Make it from the worker's ``result`` event."""
        exits = exits or {}
        return cls(exits.get("reasons", {}), exits.get("ports", {}), exits.get("devices", {}))

    @property
    def total(self) -> int:
        return sum(self.reasons.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "reasons": dict(self.reasons),
            "ports": {str(port): count for port, count in self.ports.items()},
            "devices": dict(self.devices),
        }


@dataclass(frozen=True, slots=True)
class GuestEventFacts:
    """What the guest's kernel reported to the VMM (``CONFIG_KVM_GUEST_EVENTS``).

    ``source`` is how: hypercall, port or none. Events are dicts with t_s (seconds since the
    first vCPU entered the guest), kind, name and value. ``lost`` counts those that found no room
    in the guest, ``refused`` those that the VMM could not parse or that were too many.
    """

    source: str = "none"
    events: tuple[Mapping[str, Any], ...] = ()
    lost: int = 0
    refused: int = 0

    @classmethod
    def from_log(cls, log: EventLog, started_ns: int) -> GuestEventFacts:
        events = tuple(event.to_json() for event in log.events(started_ns))
        return cls(log.source, events, log.lost, log.refused)

    def to_json(self) -> dict[str, Any]:
        return {
            "event_source": self.source,
            "events": list(self.events),
            "events_lost": {"guest": self.lost, "refused": self.refused},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """``command`` is what runs in the guest; ``repeat`` the command line that repeats the run.

    ``exit_code`` is that of this tool's process; the guest command's own is in ``guest``.
    ``host_kernel`` is the lab host's, whose KVM it was, if that was not ``kernel``. ``cloned``: the
    machine did not boot in this run, but went on from a saved one.
    """

    outcome: Outcome
    host: str
    exit_code: int
    kernel: KernelFacts = KernelFacts()
    host_kernel: KernelFacts | None = None
    vmm_id: str = ""
    guest: GuestFacts = GuestFacts()
    timings: Timings = Timings()
    exits: ExitCounts = ExitCounts()
    told: GuestEventFacts = GuestEventFacts()
    run_dir: Path | None = None
    command: tuple[str, ...] = ()
    repeat: str = ""
    cloned: bool = False

    def to_json(self) -> dict[str, Any]:
        guest = {f.name: getattr(self.guest, f.name) for f in fields(self.guest)}
        return {
            "schema": SCHEMA_VERSION,
            **self.outcome.to_json(),
            "host": self.host,
            "kernel": self.kernel.to_json(),
            "host_kernel": None if self.host_kernel is None else self.host_kernel.to_json(),
            "vmm": {"id": self.vmm_id},
            "timings_s": self.timings.to_json(),
            "exits": self.exits.to_json(),
            **self.told.to_json(),
            "guest": guest,
            "run_dir": None if self.run_dir is None else str(self.run_dir),
            "exit_code": self.exit_code,
            "command": list(self.command),
            "repeat": self.repeat,
            "cloned": self.cloned,
        }

    def text(self) -> str:
        """The record as JSON."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def keep(self, folder: Path) -> None:
        """Write it to the run's folder."""
        write_or_tell(folder / "result.json", self.text())


def _sum(*seconds: float | None) -> float | None:
    known = [s for s in seconds if s is not None]
    return sum(known) if known else None
