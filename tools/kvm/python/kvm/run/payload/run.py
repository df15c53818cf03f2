# SPDX-License-Identifier: GPL-2.0-only
"""Run one payload and judge it: the stages between the options and the record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.errors import BuildError, InfrastructureError
from kvm.host.base import Host, HostLost
from kvm.host.native import NativeHost
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import astray, hosts, observe, rundir, staging
from kvm.run import halves as build_halves
from kvm.run.boot import Place
from kvm.run.drive import Drive, Reader, Sinks, Transcript
from kvm.run.halves import Halves
from kvm.run.observe import Attempt, Capture
from kvm.run.payload.machine import environment, payload_spec
from kvm.run.payload.options import PayloadOptions
from kvm.run.record import ExitCounts, GuestFacts, KernelFacts, RunRecord, Timings
from kvm.verdict.judge import judge
from kvm.verdict.known import signatures
from kvm.verdict.observation import Observation, WorkerError
from kvm.verdict.payload import exit_code_of
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

Write = Callable[[bytes], None]


def run_payload(
    project: Project,
    options: PayloadOptions,
    progress: Progress,
    output: Write,
    reader: Reader | None = None,
) -> RunRecord:
    """Build both halves, run the payload, judge; what it says on its serial port goes to
    ``output``, whose ``reader`` is waited for."""
    start = time.monotonic()
    try:
        halves = build_halves.build(project, progress, pinned_only=options.pinned_only)
    except BuildError as failed:
        evidence = (Evidence("compiler", failed.errors),)
        outcome = Outcome(Verdict.FAIL, Reason.BUILD_FAILURE, failed.message, evidence)
        return RunRecord(outcome=outcome, host=options.host, exit_code=exit_code_of(outcome))
    return run_built(project, halves, options, progress, output, start=start, reader=reader)


def run_built(
    project: Project,
    halves: Halves,
    options: PayloadOptions,
    progress: Progress,
    output: Write,
    place: Place | None = None,
    *,
    start: float | None = None,
    reader: Reader | None = None,
) -> RunRecord:
    """Run a payload on halves that are built, the kernel being the lab host's; ``start`` is when
    the command began. Without a ``place`` it gets a new run folder."""
    start = time.monotonic() if start is None else start
    place = place or Place(rundir.create(project.runs))
    run = _Run(project, options, progress, output, halves, place, start, reader)
    try:
        return run.to_record()
    except HostLost as lost:
        return run.record(observe.host_lost(lost), None)
    except InfrastructureError as trouble:
        outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(trouble))
        return run.record(outcome, None)


def open_host(
    project: Project, requested: str, halves: Halves, progress: Progress, place: Place
) -> Host:
    """The host a payload asks for. Raises ``HostLost`` when its kernel does not come up.

    A KVM that cannot boot Linux may well run a payload: ``native`` is taken at its word. A lab
    host's kernel is what a payload tests, so no other one stands in for it.
    """
    if requested == "native":
        return NativeHost()
    with progress.phase("host") as say:
        try:
            return hosts.connect(
                project,
                requested,
                halves,
                say,
                patient=True,
                slot=place.slot,
                memory=place.memory,
                cpus=place.host_cpus,
            ).host
        except hosts.KernelNotUp as failed:
            raise failed.lost from failed


@dataclass(frozen=True, slots=True)
class _Run:
    """One run's surroundings; its methods are the stages after the build."""

    project: Project
    options: PayloadOptions
    progress: Progress
    output: Write
    halves: Halves
    place: Place
    start: float
    reader: Reader | None

    @property
    def run_dir(self) -> Path:
        return self.place.run_dir

    def to_record(self) -> RunRecord:
        host_kernel = SystemMap(self.halves.kernel.system_map)
        attempt, outcome = astray.steadied(
            self._attempt(), self._attempt, host_kernel, self.progress.note
        )
        return self.record(outcome, attempt)

    def _attempt(self) -> tuple[Attempt, Outcome]:
        module, given = self._module()
        spec = payload_spec(self.options, module, given)
        repeat = f"{self.project.root}/invoke payload {self.options.repeat}"
        rundir.write_spec(self.run_dir, spec.to_json(), repeat)
        host = open_host(self.project, self.options.host, self.halves, self.progress, self.place)
        # What is staged must be there for as long as the host may run a machine.
        with contextlib.ExitStack() as beyond_the_host:
            try:
                stage = staging.staged(spec, host, self.project, self.run_dir)
                attempt = self._session(host, beyond_the_host.enter_context(stage))
                if host.console:
                    (self.run_dir / "host-console.log").write_text(host.console)
                facts = self._observation(attempt)
                observe.distrust_if_it_complained(host, facts.host_findings)
                return attempt, judge(facts)
            finally:
                host.close()

    def _module(self) -> tuple[Path, str]:
        """The payload's module and its text."""
        given = self.options.environment
        if given is not None:
            return given, given.read_text(errors="replace")
        made = self.run_dir / "environment"
        made.write_text(environment(self.options))
        return made, made.read_text()

    def _session(self, host: Host, files: staging.Staged) -> Attempt:
        limit_s = self.options.timeout_s
        script, session, lost = Transcript(), None, None
        capture = Capture(self.output, self.output)
        with self.progress.phase("payload") as say:
            sinks = Sinks(
                console_log=self.run_dir / "console.log",
                stdout=capture.stdout,
                stderr=capture.stderr,
                phase=say,
                console=capture.stdout,
                reader=self.reader,
            )
            try:
                session = host.start(
                    self.halves.vmm.folder, files.spec.to_json(), None, run_dir=self.run_dir
                )
                drive = Drive(session, sinks, limit_s, limit_s, bounded=True)
                script = drive.transcript
                drive.run()
            except HostLost as gone:
                lost = gone
        self.progress.pause()
        if (error := script.worker_error) is not None:
            script.worker_error = WorkerError(error.kind, files.in_user_s_words(error.message))
        return Attempt((str(self.options.file),), script, capture, host, session, lost)

    def _observation(self, attempt: Attempt) -> Observation:
        return replace(
            observe.session_facts(attempt),
            payload=self.options.file.name,
            expected=self.options.expected,
            allow_warnings=True,  # the payload's; its host's count
            known_warnings=signatures(self.options.known_warnings),
        )

    def record(self, outcome: Outcome, attempt: Attempt | None) -> RunRecord:
        """The record of the run, also written to its folder."""
        script = attempt.script if attempt is not None else Transcript()
        result = script.result or {}
        ended = result.get("stop") == "debug_exit"
        kernel = self.halves.kernel
        spent = (
            observe.timings(self.halves, attempt.host, script, time.monotonic() - self.start)
            if attempt is not None
            else Timings(total=time.monotonic() - self.start)
        )
        made = RunRecord(
            outcome=outcome,
            host=attempt.host.name if attempt is not None else self.options.host,
            exit_code=exit_code_of(outcome),
            kernel=KernelFacts(kernel.label, kernel.id, str(kernel.vmlinux)),
            vmm_id=self.halves.vmm.id,
            guest=GuestFacts(
                cpus=self.options.cpus,
                memory_mib=self.options.memory_mib,
                exit_code=int(result["detail"]) if ended else None,
                stdout=attempt.capture.text("stdout") if attempt is not None else "",
            ),
            timings=spent,
            exits=ExitCounts.from_result(result.get("exits")),
            run_dir=self.run_dir,
            command=(str(self.options.file), *self.options.append.split()),
            repeat=f"./invoke payload {self.options.repeat}",
        )
        made.keep(self.run_dir)
        return made
