# SPDX-License-Identifier: GPL-2.0-only
"""The bench of one attempt at one cell: boots its machines and collects their results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

from kvm.host.base import Host
from kvm.host.given import SPOILT_S, Look
from kvm.matrix.cell import Cell
from kvm.matrix.workload import Boot, CellFailed, CellSkipped, Wants
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts, observe
from kvm.run.boot import Streams, boot_built
from kvm.run.extras import RunExtras
from kvm.run.halves import Halves
from kvm.run.options import BootOptions
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import open_host, run_built
from kvm.run.payload.suite.run import check_interrupted, read_files
from kvm.run.record import RunRecord
from kvm.run.spine import RunSite
from kvm.spec.disk import DiskSpec
from kvm.verdict import known
from kvm.verdict.console import parse_console
from kvm.verdict.judge import host_complaint
from kvm.verdict.known import KnownWarnings
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

_SILENCE_S = 15.0
_PLAIN = Outcome(Verdict.PASS, Reason.OK, "")


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Shared by all cells of one worker: its slot, its notes on hosts, a lab host's CPUs."""

    project: Project
    slot: str
    notes: hosts.HostNotes
    progress: Progress
    host_cpus: int


@dataclass(slots=True)
class CellBench:
    """See ``workload.Bench`` for what a workload can do with it."""

    cell: Cell
    folder: Path
    seed: int
    context: WorkerContext
    guest: Halves
    hosting: Halves
    ends_at: float  # time.monotonic
    note: Callable[[str], None]
    known_warnings: KnownWarnings | None = None
    known_seen: set[str] = field(default_factory=set)
    checks: list[Case] = field(default_factory=list)
    outcome: Outcome = _PLAIN
    flaky: Outcome | None = None
    records: list[RunRecord] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    _hosts: list[Host] = field(default_factory=list)
    _disks: list[Path] = field(default_factory=list)
    _host_kept: Look = lambda: 0.0

    @property
    def project(self) -> Project:
        return self.context.project

    def boot(self, *command: str, **wants: Unpack[Wants]) -> Boot:
        self.close_host()
        start = time.monotonic()
        options = self._options(command, wants, self.ends_at - start)
        kill_on = wants.get("kill_on", b"")
        extras = RunExtras(
            files=tuple(wants.get("files", ())),
            rng=self.cell.rng,
            stdin=wants.get("stdin", b""),
            kill_on=kill_on,
            expected=Reason.VMM_CRASH if kill_on else wants.get("expect"),
            bounded=True,
            beside=tuple(tuple(argv) for argv in wants.get("beside", ())),
            known_warnings=frozenset(wants.get("known_warnings", ())),
        )
        out, err = bytearray(), bytearray()

        def restart() -> None:
            out.clear()
            err.clear()

        run_dir = self._new_folder()
        context = self.context
        site = self._site(run_dir)
        record = boot_built(
            self.project,
            self.guest,
            options,
            context.progress,
            Streams(out.extend, err.extend, restart=restart),
            site,
            extras,
        )
        self.records.append(record)
        self.ends_at += record.timings.kept or 0.0
        self._judge(record)
        console = _read_text(run_dir / "console.log")
        return Boot(record, bytes(out), bytes(err), console, time.monotonic() - start)

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        self.close_host()
        if time.monotonic() >= self.ends_at:
            self.outcome = Outcome(
                Verdict.FAIL, Reason.TIMEOUT, f"no time was left for {name}", signature="timeout"
            )
            raise CellFailed(self.outcome.summary)
        site = self._site(self.folder / name)
        site.run_dir.mkdir()
        options = replace(options, known_warnings=self.known_warnings)
        record = run_built(
            self.project, self.hosting, options, self.context.progress, lambda _: None, site
        )
        self.records.append(record)
        self.known_seen |= known.of(record.outcome)
        self.ends_at += record.timings.kept or 0.0
        return check_interrupted(record)

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        self.close_host()
        site = self._site(self.folder)
        host = open_host(self.project, self._host_word, self.hosting, self.context.progress, site)
        try:
            return read_files(host, paths)
        finally:
            host.close()

    def new_disk(self, name: str, size_mib: int) -> Path:
        path = self.folder / f"{name}.raw"
        with path.open("wb") as image:
            image.truncate(size_mib << 20)
        self._disks.append(path)
        return path

    def check(self, name: str, ok: bool, note: str = "") -> None:
        status = Status.PASS if ok else Status.FAIL
        self.checks.append(Case(name, status, comments=(note,) if note else ()))
        if not ok and self.outcome.ok:
            text = f"{name}: {note}" if note else name
            self.outcome = Outcome(
                Verdict.FAIL, Reason.CHECK_FAILED, text, signature=f"check {name}"
            )

    def add(self, cases: Sequence[Case]) -> None:
        self.checks.extend(cases)
        bad = [
            leaf
            for case in cases
            for leaf in (case, *case.leaves())
            if leaf.status.verdict in (Verdict.FAIL, Verdict.ERROR)
        ]
        if not bad or not self.outcome.ok:
            return
        names = ", ".join(dict.fromkeys(leaf.name for leaf in bad))
        kept_s = self._kept_s()
        if kept_s >= SPOILT_S and all(leaf.status is Status.TIMEOUT for leaf in bad):
            # Their limits use the machine's clock, which goes on while the machine is not run.
            text = f"late: {names}, but for {kept_s:.0f} s this computer did not run the machine"
            self.outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, text)
            return
        self.outcome = Outcome(
            Verdict.FAIL, Reason.CHECK_FAILED, f"failed: {names}", signature=f"check {names}"
        )

    def open_host(self, cpus: int = 1) -> Host:
        if not self._hosts:
            if self.cell.host == "native":
                raise CellSkipped("its suite needs a lab host")
            context = self.context
            site = replace(self._site(self.folder), host_cpus=max(cpus, context.host_cpus))
            host = open_host(self.project, "lab", self.hosting, context.progress, site)
            self._hosts.append(host)
            self._host_kept = host.kept()
        return self._hosts[0]

    def say(self, text: str) -> None:
        self.note(text)

    def measured(self, name: str, seconds: float) -> None:
        self.timings[name] = seconds

    # For the runner

    def close_host(self) -> None:
        """Release the lab host. Complaints of its kernel meanwhile count, and are kept."""
        while self._hosts:
            host = self._hosts.pop()
            console = host.console
            with (self.folder / "host-console.log").open("a", encoding="utf-8") as log:
                log.write(console)
            findings = parse_console(console)
            observe.distrust_if_it_complained(host, findings)
            host.close()
            names = known.signatures(self.known_warnings)
            self.known_seen |= known.seen((), findings, names)
            complaint = host_complaint(findings, names)
            if complaint is not None and self.outcome.ok:
                self.outcome = complaint

    def clean_up(self, *, keep_disks: bool) -> None:
        """Close the host and remove the disks, unless they are needed to examine a failure."""
        self.close_host()
        for path in self._disks:
            if not keep_disks:
                path.unlink(missing_ok=True)

    def exits(self) -> dict[str, Any]:
        """The exits of all machines, summed."""
        sums: dict[str, Counter[str]] = {"reasons": Counter(), "ports": Counter()}
        sums["devices"] = Counter()
        for record in self.records:
            for name, counter in sums.items():
                counter.update(record.exits.to_json()[name])
        plain: Mapping[str, dict[str, int]] = {name: dict(c) for name, c in sums.items()}
        return {"total": sum(plain["reasons"].values()), **plain}

    def _kept_s(self) -> float:
        """For how long this computer did not run the machines, or their host."""
        return sum(record.timings.kept or 0.0 for record in self.records) + self._host_kept()

    @property
    def _host_word(self) -> str:
        return "native" if self.cell.host == "native" else "lab"

    def _site(self, run_dir: Path) -> RunSite:
        context = self.context
        return RunSite(
            run_dir, context.slot, self.hosting.kernel, context.notes, host_cpus=context.host_cpus
        )

    def _judge(self, record: RunRecord) -> None:
        """Make the first trouble the cell's verdict; the workload ends with it.

        A machine that passed only when started again does not end it, but the cell does not pass.
        """
        if record.outcome.summary == "interrupted":
            raise KeyboardInterrupt
        self.known_seen |= known.of(record.outcome)
        if record.outcome.verdict is Verdict.FLAKY:
            self.flaky = self.flaky or record.outcome
        elif not record.outcome.ok:
            self.outcome = record.outcome
            raise CellFailed(record.outcome.summary)

    def _options(self, command: tuple[str, ...], wants: Wants, left_s: float) -> BootOptions:
        cell = self.cell
        return BootOptions(
            command=command,
            host=self._host_word,
            config=cell.config,
            vcpus=wants.get("vcpus", cell.vcpus),
            memory_mib=wants.get("memory_mib", cell.memory_mib),
            append=f"{cell.append} {wants.get('append', '')}".strip(),
            transport=cell.transport,
            ring=cell.ring,
            disks=(*wants.get("disks", ()), *self._spare_disks()),
            nets=tuple(wants.get("nets", ())),
            vsock=wants.get("vsock"),
            shares=tuple(wants.get("shares", ())),
            timeout_s=wants.get("quiet_s", _SILENCE_S),
            deadline_s=max(left_s, 1.0),
            known_warnings=self.known_warnings,
        ).check()

    def _new_folder(self) -> Path:
        folder = self.folder / f"boot{len(self.records) + 1}"
        folder.mkdir(parents=True)
        return folder

    def _spare_disks(self) -> tuple[DiskSpec, ...]:
        images = (self.new_disk(f"spare{number}", 16) for number in range(self.cell.spare_disks))
        return tuple(DiskSpec(image, format_said=True) for image in images)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
