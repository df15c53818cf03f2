# SPDX-License-Identifier: GPL-2.0-only
"""Turns what a run left behind into an observation for the judge and a record for the user."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kvm.host.base import Host, HostHung, HostLost, HostRefused, Session
from kvm.run.drive import Transcript
from kvm.run.extras import RunExtras
from kvm.run.halves import Halves
from kvm.run.options import BootOptions
from kvm.run.record import Timings
from kvm.verdict.console import parse_console
from kvm.verdict.finding import Finding
from kvm.verdict.judge import judge
from kvm.verdict.known import signatures
from kvm.verdict.observation import Deadline, Observation
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

_SYMBOL = re.compile(r"\bCONFIG_\w+")
_BLACKLIST = "initcall_blacklist="

Write = Callable[[bytes], None]


class Capture:
    """Passes a command's output on and keeps its beginning for the record."""

    _LIMIT = 64 << 10

    def __init__(self, stdout: Write, stderr: Write) -> None:
        self._sinks = {"stdout": stdout, "stderr": stderr}
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}

    def stdout(self, data: bytes) -> None:
        self._take("stdout", data)

    def stderr(self, data: bytes) -> None:
        self._take("stderr", data)

    def text(self, name: str) -> str:
        return self._kept[name].decode(errors="replace")

    def _take(self, name: str, data: bytes) -> None:
        kept = self._kept[name]
        kept += data[: self._LIMIT - len(kept)]
        self._sinks[name](data)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One machine's run: its command, what it reported, and how worker and host ended.

    ``cloned``: it went on from a saved machine.
    """

    command: tuple[str, ...]
    script: Transcript
    capture: Capture
    host: Host
    session: Session | None
    lost: HostLost | None
    cloned: bool = False


def observation(
    attempt: Attempt, options: BootOptions, halves: Halves, extras: RunExtras
) -> Observation:
    """All facts of an attempt to boot."""
    script = attempt.script
    lacking, missing = _not_there(script.hello or {}, options, halves)
    log_buf = (script.result or {}).get("log_buf")
    return replace(
        session_facts(attempt),
        command=attempt.command,
        findings=script.console.findings,
        log_buf=base64.b64decode(log_buf) if log_buf else None,
        hello=script.hello is not None,
        exit_code=script.exit_code,
        exit_signal=script.exit_signal,
        guest_error=script.guest_error,
        lacking=lacking,
        missing=missing,
        last_events=script.events.last(),
        running_initcall=script.events.running_initcall,
        reported_death=script.events.death,
        bounded=extras.bounded,
        allow_warnings=options.allow_warnings,
        known_warnings=signatures(options.known_warnings) | extras.known_warnings,
        expected=extras.expected,
        symbols=SystemMap(halves.kernel.system_map) if options.kernel is None else None,
    )


def session_facts(attempt: Attempt) -> Observation:
    """The facts about machine, VMM and host that any session has, whatever ran in the machine."""
    script, session = attempt.script, attempt.session
    result = script.result or {}
    return Observation(
        console_tail=tuple(script.console.tail),
        stop=result.get("stop"),
        stop_detail=result.get("detail", ""),
        registers=tuple(result.get("registers", ())),
        last_exits=tuple(result.get("last_exits", ())),
        worker_status=worker_status(attempt),
        worker_error=script.worker_error,
        worker_stderr=tuple(session.stderr_tail.splitlines()) if session is not None else (),
        host_findings=parse_console(attempt.host.console),
        **_loss(attempt.lost),
        console_dropped_bytes=script.console_dropped_bytes,
        deadline=script.deadline,
        deadline_s=script.deadline_s,
        kept_s=script.kept_s,
        spoilt=script.spoilt,
        interrupted=script.interrupted,
        reader_s=script.reader_s,
        unread_bytes=script.unread_bytes,
    )


def _not_there(hello: Mapping[str, str], options: BootOptions, halves: Halves) -> tuple[str, str]:
    """What the guest's init did not find: drivers its kernel lacks, and missing devices.

    A driver that our own kernel was built with and that is still not there has failed, unless
    the user keeps it from starting.
    """
    lacking, missing = hello.get("lacking", ""), hello.get("missing", "")
    symbols = _SYMBOL.findall(lacking)
    if not symbols or options.kernel is not None or _BLACKLIST in options.append:
        return lacking, missing
    config = (halves.kernel.folder / "config").read_text().splitlines()
    if all(f"{symbol}=y" in config for symbol in symbols):
        return "", "; ".join(filter(None, (lacking, missing)))
    return lacking, missing


def worker_status(attempt: Attempt) -> int | None:
    """The worker's exit status; None if it did not end, or if we killed it."""
    if attempt.session is None or attempt.script.overdue:
        return None
    return attempt.session.exit_status


def distrust_if_it_complained(host: Host, findings: Sequence[Finding]) -> None:
    """Do not use a kernel again that complained.

    One that stalled has lost a processor or a lock, and one that warned does so only once: the
    next machine there would be judged by this one's damage.
    """
    if findings:
        host.distrust(f"the host's kernel complained ({findings[0].title})")


def not_up(lost: HostLost, deadline_s: float) -> Observation:
    """The kernel did not come up as lab host: only its console can be judged."""
    lines = tuple(lost.console.splitlines()[-40:])
    hung = isinstance(lost, HostHung)
    return Observation(
        findings=parse_console(lost.console),
        console_tail=lines,
        stop=None if hung else "reset",
        stop_detail=str(lost),
        deadline=Deadline.SILENCE if hung else None,
        deadline_s=deadline_s,
    )


def refused(lost: HostLost) -> Outcome | None:
    """The verdict on a kernel that boots but can't be a lab host; None for another loss."""
    if not isinstance(lost, HostRefused):
        return None
    tail = Evidence("console tail", tuple(lost.console.splitlines()[-10:]))
    return Outcome(Verdict.FAIL, Reason.BUILD_FAILURE, str(lost), (tail,), "no lab host")


def host_lost(lost: HostLost) -> Outcome:
    """The verdict when the lab host was lost, or did not come up, before its run was done."""
    return judge(Observation(host_findings=parse_console(lost.console), **_loss(lost)))


def _loss(lost: HostLost | None) -> dict[str, Any]:
    """The fields of an ``Observation`` that describe it."""
    return {} if lost is None else {"host_lost": str(lost), "host_hung": isinstance(lost, HostHung)}


def timings(halves: Halves, host: Host, script: Transcript, total_s: float) -> Timings:
    """The seconds that each stage took."""

    def between(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else second - first

    return Timings(
        kernel_build=halves.kernel.seconds,
        vmm_build=halves.vmm.seconds,
        host_boot=host.boot_s,
        vmm_start=script.started_s,
        load=script.load_s,
        guest_init=between(script.started_s, script.hello_s),
        command=script.command_s,
        kept=script.kept_s,
        total=total_s,
    )
