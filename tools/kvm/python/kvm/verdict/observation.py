# SPDX-License-Identifier: GPL-2.0-only
"""All that is known about one run of a machine when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from kvm.verdict.finding import Finding
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Reason


class Deadline(Enum):
    """The limit that ended the run."""

    SILENCE = "silence"  # no sign of life from the guest for that long
    TOTAL = "total"
    UNRUN = "wall clock's"  # it did not run for long enough for its silence to be its fault


@dataclass(frozen=True, slots=True)
class WorkerError:
    """The worker's ``error`` event: it could not set the machine up."""

    kind: str  # config, load or kvm
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Facts only; an unknown fact keeps its default, so that none is made up.

    ``worker_status`` is the VMM process's exit status, negative for a signal.
    ``host_lost`` says how the lab host went away ("" = it did not); ``host_hung``: its emulator
    was there, but it did not answer or could not end a process.
    ``log_buf`` is the guest's raw printk buffer, read if its console shows nothing.
    ``last_events``, ``running_initcall`` and ``reported_death`` (oops or panic, its message) are
    the guest kernel's own events, which need no console.
    ``payload`` is the name of a payload, which has neither kernel nor init of its own.
    ``bounded``: the total deadline is the test's own, not a limit that the user set.
    ``kept_s`` is for how long this computer did not run the machine; ``spoilt``: it was so much
    at once that a kernel's reports of stalls mean nothing.
    ``expected`` is the reason the run was meant to end with (in a panic test, say).
    """

    command: tuple[str, ...] = ()
    payload: str = ""
    findings: tuple[Finding, ...] = ()
    console_tail: tuple[str, ...] = ()
    log_buf: bytes | None = None
    hello: bool = False
    exit_code: int | None = None
    exit_signal: int = 0
    guest_error: str = ""
    lacking: str = ""  # what was asked for, but the guest's kernel was built without it
    missing: str = ""  # what was asked for and is missing, although the kernel has a driver for it
    stop: str | None = None
    stop_detail: str = ""
    registers: tuple[Mapping[str, int], ...] = ()
    last_exits: tuple[str, ...] = ()
    worker_status: int | None = None
    worker_error: WorkerError | None = None
    worker_stderr: tuple[str, ...] = ()
    host_findings: tuple[Finding, ...] = ()
    host_lost: str = ""
    host_hung: bool = False
    console_dropped_bytes: int = 0
    last_events: tuple[str, ...] = ()
    running_initcall: str = ""
    reported_death: tuple[str, str] = ("", "")
    deadline: Deadline | None = None
    deadline_s: float = 0.0
    bounded: bool = False
    kept_s: float = 0.0
    spoilt: bool = False
    interrupted: str = ""  # who interrupted it, in words
    reader_s: float = 0.0  # how long the machine was kept waiting for the reader of its output
    unread_bytes: int = 0  # of lost output
    allow_warnings: bool = False
    known_warnings: frozenset[str] = frozenset()  # by signature
    expected: Reason | None = None
    symbols: SystemMap | None = None

    @property
    def phase(self) -> str:
        """The phase of the guest's life in which the run ended."""
        if self.payload:
            return f"while {self.payload} ran"
        if not self.hello:
            within = f"in initcall {self.running_initcall}, " if self.running_initcall else ""
            return f"{within}before init said hello"
        if self.exit_code is not None:
            return "after the command ended"
        return "while the command ran" if self.command else "after init said hello"
