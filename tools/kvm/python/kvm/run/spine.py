# SPDX-License-Identifier: GPL-2.0-only
"""The course of one run, whatever runs in the machine: host, machine, verdict, record.

A boot (``run/boot.py``) and a payload (``run/payload/run.py``) are two jobs. The rules for both
are here: which kernel may stand in as lab host, what happens to a machine that the emulator may
have lost, and when a host is not used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from kvm.errors import BuildError, InfrastructureError
from kvm.host.base import Host, HostLost, Session
from kvm.host.instance import MAIN_SLOT
from kvm.host.snapshot import BootedMachine
from kvm.kernel.build import Kernel
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves as build_halves
from kvm.run import held as held_hosts
from kvm.run import hosts, lost_machines, observe, proven, rundir, staging
from kvm.run.drive import Limits, SessionDriver, Sinks, Transcript
from kvm.run.halves import Halves
from kvm.run.hosts import Connected, HostNotes, Wanted
from kvm.run.observe import Attempt, Capture
from kvm.run.record import ExitCounts, GuestEventFacts, GuestFacts, KernelFacts, RunRecord, Timings
from kvm.say import Say
from kvm.spec.machine import MachineSpec
from kvm.verdict.before import judge_error
from kvm.verdict.judge import judge
from kvm.verdict.observation import Observation, WorkerError
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict


@dataclass(frozen=True, slots=True)
class RunSite:
    """Where a machine runs: the folder it leaves behind, and the slot of its lab host.

    ``host_kernel`` is the lab host's if it is not the guest's own; ``notes`` belong to a command
    that boots many machines; ``host_cpus`` is the lab host's number, None for the default.
    """

    run_dir: Path
    slot: str = MAIN_SLOT
    host_kernel: Kernel | None = None
    notes: HostNotes | None = None
    host_cpus: int | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """What a job attaches to a session while it lasts.

    ``request`` is the guest command, if there is one; ``secrets`` are fields of the machine that
    must not be written to a file; ``beside`` are commands that run on the host meanwhile;
    ``started`` is called with the session, and ``ended`` when it is over.
    """

    sinks: Sinks
    request: dict[str, Any] | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[tuple[str, ...], ...] = ()
    ended: Callable[[Transcript], None] = lambda script: None
    started: Callable[[Session], None] = lambda session: None


class Job(Protocol):
    """The parts of a run that differ between a boot and a payload."""

    @property
    def name(self) -> str:
        """The name of the phase in which the machine runs."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command in the machine, as the user gave it."""

    @property
    def argv(self) -> tuple[str, ...]:
        """``command``, or the default if none was given."""

    @property
    def repeat(self) -> str:
        """The words after ``./invoke`` that repeat the run."""

    @property
    def host(self) -> str:
        """The kind of host asked for: auto, native or lab."""

    def wanted(self) -> Wanted:
        """The requirements for the host; may build files that its machines will read."""

    @property
    def repeatable(self) -> bool:
        """Whether the machine may be started again: nobody has acted on what it said."""

    @property
    def limits(self) -> Limits: ...

    def capture(self) -> Capture: ...

    def spec(self, halves: Halves, run_dir: Path) -> MachineSpec:
        """The machine. Raises ``UserError`` naming the value at fault."""

    def machine(self, spec: MachineSpec, held: ExitStack) -> BootedMachine | None:
        """The machine to be saved, or to go on from; None: each is started.

        Its disks are claimed until ``held`` is closed.
        """

    def attached(
        self, halves: Halves, host: Host, run_dir: Path, capture: Capture, say: Say
    ) -> AbstractContextManager[Attached]: ...

    def observation(self, attempt: Attempt, halves: Halves) -> Observation:
        """All facts of an attempt, for the judge."""

    def not_up(self, lost: HostLost, waited_s: float) -> Outcome:
        """The verdict where the kernel under test did not come up as lab host."""

    def restart(self) -> None:
        """Drop the output so far: the machine is started again."""

    def kernel(self, halves: Halves, script: Transcript) -> KernelFacts:
        """The kernel that the record names."""

    def guest(self, attempt: Attempt | None) -> GuestFacts: ...

    def exit_code(self, outcome: Outcome, script: Transcript) -> int:
        """The exit code of this tool's process."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run with all it needs; its methods are the stages after the build.

    ``start`` (``time.monotonic``) is when the command began.
    """

    project: Project
    halves: Halves
    progress: Progress
    site: RunSite
    start: float
    job: Job

    def to_record(self) -> RunRecord:
        """The record of the run, also written to its folder."""
        try:
            attempt, outcome = self._judged()
        except hosts.KernelNotUp as failed:
            (self.site.run_dir / "console.log").write_text(failed.lost.console)
            waited_s = time.monotonic() - self.start
            refused = observe.refused(failed.lost)
            return self._record(refused or self.job.not_up(failed.lost, waited_s), None)
        except HostLost as lost:
            return self._record(observe.host_lost(lost), None)
        except InfrastructureError as trouble:
            outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(trouble))
            return self._record(outcome, None)
        return self._record(outcome, attempt)

    @property
    def _hosting(self) -> Halves:
        """The halves with the lab host's kernel."""
        return replace(self.halves, kernel=self.site.host_kernel or self.halves.kernel)

    def _judged(self) -> tuple[Attempt, Outcome]:
        """Run on a host; a kernel that did not come up as the host is checked a second time."""
        spec = self.job.spec(self.halves, self.site.run_dir)
        repeat = f"{self.project.root}/invoke {self.job.repeat}"
        rundir.write_spec(self.site.run_dir, spec.to_json(), repeat)
        wanted = replace(self.job.wanted(), slot=self.site.slot, cpus=self.site.host_cpus)
        with ExitStack() as held:
            wanted = replace(wanted, machine=self.job.machine(spec, held))
            found = self._connect(wanted)
        attempt, outcome = self._attempt_until_kept(found, wanted, spec)
        if found.suspected is not None and outcome.ok:
            # It works as a guest. Was it only slow to come up, or does it fail as lab host?
            return self._attempt(self._connect(wanted, patient=True).host, spec)
        if found.suspected is not None:
            return attempt, _both(outcome, found.suspected)
        kernel = self._hosting.kernel
        if outcome.ok and attempt.host.name == "lab" and not wanted.devices:
            boot_s = 0.0 if attempt.host.restored else attempt.host.boot_s
            proven.record(self.project, kernel, boot_s)
        return attempt, outcome

    def _attempt_until_kept(
        self, found: Connected, wanted: Wanted, spec: MachineSpec
    ) -> tuple[Attempt, Outcome]:
        """Run an attempt, and repeat it if the emulator may have lost the machine."""

        def again() -> tuple[Attempt, Outcome]:
            self.job.restart()
            return self._attempt(self._connect(wanted).host, spec)

        host_kernel = SystemMap(self._hosting.kernel.system_map)
        first = self._attempt(found.host, spec)
        if not self.job.repeatable:
            return first
        return lost_machines.started_again(first, again, host_kernel, self.progress.note)

    def _connect(self, wanted: Wanted, *, patient: bool = False) -> Connected:
        notes = self.site.notes
        with self.progress.phase("host") as say:
            return hosts.connect(
                self.project, wanted, self._hosting, say, patient=patient, notes=notes
            )

    def _attempt(self, host: Host, spec: MachineSpec) -> tuple[Attempt, Outcome]:
        """Run the machine on this host, and judge it."""
        run_dir = self.site.run_dir
        if host.has_clone:
            spec = replace(spec, disks=())  # it has copies of them
        # Staged files must stay for as long as the host may run a machine.
        with ExitStack() as beyond_the_host:
            try:
                stage = staging.staged(spec, host, self.project, run_dir)
                attempt = self._session(host, beyond_the_host.enter_context(stage))
                if host.console:
                    (run_dir / "host-console.log").write_text(host.console)
                facts = self.job.observation(attempt, self.halves)
                observe.distrust_if_it_complained(host, facts.host_findings)
                return attempt, judge(facts)
            finally:
                host.close()

    def _session(self, host: Host, files: staging.Staged) -> Attempt:
        script, session, lost, clone = Transcript(), None, None, None
        run_dir, capture = self.site.run_dir, self.job.capture()
        with (
            self.progress.phase(self.job.name) as say,
            self.job.attached(self.halves, host, run_dir, capture, say) as attached,
        ):
            spec = {**files.spec.to_json(), **attached.secrets}
            try:
                beside = [host.start_command(argv, cwd=run_dir) for argv in attached.beside]
                clone = host.clone(attached.request, run_dir=run_dir)
                session = clone or host.start(
                    self.halves.vmm.folder, spec, attached.request, run_dir=run_dir
                )
                attached.started(session)
                drive = SessionDriver(session, attached.sinks, self.job.limits)
                script = drive.transcript
                drive.run()
                if beside:
                    said = "".join(command.stop() for command in beside)
                    (run_dir / "beside.log").write_text(said)
            except HostLost as gone:
                lost = gone
            attached.ended(script)
        self.progress.pause()
        if (error := script.worker_error) is not None:
            script.worker_error = WorkerError(error.kind, files.with_user_paths(error.message))
        cloned = clone is not None
        return Attempt(self.job.argv, script, capture, host, session, lost, cloned)

    def _record(self, outcome: Outcome, attempt: Attempt | None) -> RunRecord:
        script = attempt.script if attempt is not None else Transcript()
        job, run_dir = self.job, self.site.run_dir
        total_s = time.monotonic() - self.start
        host = attempt.host.name if attempt is not None else job.host
        made = RunRecord(
            outcome=outcome,
            host=host,
            exit_code=job.exit_code(outcome, script),
            kernel=job.kernel(self.halves, script),
            host_kernel=KernelFacts.of_host(host, self._hosting.kernel, self.halves.kernel),
            vmm_id=self.halves.vmm.id,
            guest=job.guest(attempt),
            timings=(
                Timings(total=total_s)
                if attempt is None
                else observe.timings(self.halves, attempt.host, script, total_s)
            ),
            exits=ExitCounts.from_result((script.result or {}).get("exits")),
            told=GuestEventFacts.from_log(script.events, script.started_ns),
            run_dir=run_dir,
            command=job.command,
            repeat=f"./invoke {job.repeat}".strip(),
            cloned=attempt is not None and attempt.cloned,
        )
        made.keep(run_dir)
        return made


def build_and_run(
    project: Project,
    progress: Progress,
    job: Job,
    *,
    config: str = "default",
    items: tuple[str, ...] = (),
    pinned_only: bool = False,
    hold_host: bool = False,
) -> RunRecord:
    """Build both halves and run the job on them; a compile error is a verdict too.

    ``hold_host`` lets the last good kernel be the lab host's where that proves as much.
    """
    start = time.monotonic()
    try:
        halves = build_halves.build(
            project, progress, config=config, items=items, pinned_only=pinned_only
        )
    except BuildError as failed:
        outcome = judge_error(failed)
        return RunRecord(
            outcome=outcome,
            host=job.host,
            exit_code=job.exit_code(outcome, Transcript()),
            timings=Timings(total=time.monotonic() - start),
            command=job.command,
        )
    held = held_hosts.host_kernel(project, halves.kernel, progress.note) if hold_host else None
    site = RunSite(rundir.create(project.runs), host_kernel=held)
    return Run(project, halves, progress, site, start, job).to_record()


def _both(outcome: Outcome, suspected: HostLost) -> Outcome:
    """A guest's failure, with a note that the same kernel failed as lab host too."""
    lines = (
        f"the same kernel did not come up as lab host: {suspected.message}",
        *suspected.console.splitlines()[-8:],
    )
    return replace(outcome, evidence=(*outcome.evidence, Evidence("lab host", lines)))
