# SPDX-License-Identifier: GPL-2.0-only
"""Boot one machine and judge it: the stages between the options and the record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.control import names
from kvm.control.server import ControlServer
from kvm.errors import BuildError, InfrastructureError
from kvm.guest.initramfs import build_initramfs
from kvm.host.base import Host, HostLost
from kvm.host.instance import MAIN_SLOT
from kvm.kernel.build import Kernel
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import astray, hosts, observe, ports, proven, rundir, staging
from kvm.run import halves as build_halves
from kvm.run.conduct import BytesInput, Conduct, Watch
from kvm.run.drive import Drive, Reader, Sinks, Transcript
from kvm.run.halves import Halves
from kvm.run.machine import environment_in_guest, machine_spec, parse_disk
from kvm.run.network import parse_nets
from kvm.run.observe import Attempt, Capture
from kvm.run.options import BootOptions
from kvm.run.ptys import Ptys
from kvm.run.record import RunRecord
from kvm.run.terminal import Terminal
from kvm.run.vnc import VncPort, parse_entrance
from kvm.verdict.judge import judge
from kvm.verdict.observation import WorkerError
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict
from kvm.vm.network import NetKind

Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the guest command's output goes; ``console`` shows the kernel's words live.

    ``reader`` is whoever reads all of them, where that takes time. ``restart`` is called when a
    machine that went astray is booted again, and with it the output begins anew.
    """

    stdout: Write
    stderr: Write
    console: Write | None = None
    reader: Reader | None = None
    restart: Callable[[], None] = lambda: None


def build_and_boot(
    project: Project, options: BootOptions, progress: Progress, streams: Streams
) -> RunRecord:
    """Build both halves, boot the one on the other; a compile error is a verdict too."""
    start = time.monotonic()
    if options.name:
        names.ensure_free(options.name)
    ports.require_free([net.spec for net in parse_nets(options.nets)])
    try:
        halves = build_halves.build(
            project,
            progress,
            config=options.config,
            items=options.items,
            pinned_only=options.pinned_only,
        )
    except BuildError as failed:
        return observe.build_failure(failed, options, time.monotonic() - start)
    place = Place(rundir.create(project.runs))
    return boot_built(project, halves, options, progress, streams, place, start=start)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine runs: the folder it leaves behind, and the lab host of which slot.

    ``host_kernel`` is the lab host's when that is not the guest's own; ``memory`` belongs to
    a command that boots many machines, and ``host_cpus`` are a lab host's, if not the usual.
    """

    run_dir: Path
    slot: str = MAIN_SLOT
    host_kernel: Kernel | None = None
    memory: hosts.Memory | None = None
    host_cpus: int | None = None


def boot_built(
    project: Project,
    halves: Halves,
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    place: Place,
    conduct: Conduct | None = None,
    *,
    start: float | None = None,
) -> RunRecord:
    """Boot halves that are built; ``start`` (``time.monotonic``) is when the command began."""
    start = time.monotonic() if start is None else start
    run = _Run(project, options, progress, streams, halves, place, conduct or Conduct(), start)
    try:
        return run.to_record()
    except InfrastructureError as trouble:
        outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(trouble))
        return observe.record(options, halves, outcome, place.run_dir)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run's surroundings; its methods are the stages after the build."""

    project: Project
    options: BootOptions
    progress: Progress
    streams: Streams
    halves: Halves
    place: Place
    conduct: Conduct
    start: float

    @property
    def run_dir(self) -> Path:
        return self.place.run_dir

    @property
    def hosting(self) -> Halves:
        """The halves with the lab host's kernel."""
        return replace(self.halves, kernel=self.place.host_kernel or self.halves.kernel)

    def to_record(self) -> RunRecord:
        """Boot on a host; a kernel that did not come up as the host gets a second look."""
        try:
            stand = self._connect(patient=False)
            attempt, outcome = self._steady_attempt(stand)
            if stand.suspected is not None and outcome.ok:
                # As a guest it is fine. Was it only slow to come up, or is it no lab host?
                attempt, outcome = self._attempt(self._connect(patient=True).host)
            elif stand.suspected is not None:
                outcome = _both(outcome, stand.suspected)
        except hosts.KernelNotUp as failed:
            return self._not_up(failed.lost)
        kernel = self.hosting.kernel
        usual = attempt.host.name == "lab" and not self.options.lab_devices
        if outcome.ok and usual and stand.suspected is None:
            proven.record(self.project, kernel.id, kernel.vmlinux, attempt.host.boot_s)
        spent = observe.timings(
            self.halves, attempt.host, attempt.script, time.monotonic() - self.start
        )
        return observe.record(
            self.options, self.halves, outcome, self.run_dir, attempt=attempt, spent=spent
        )

    def _steady_attempt(self, stand: hosts.Stand) -> tuple[Attempt, Outcome]:
        """An attempt, repeated when it went astray."""

        def again() -> tuple[Attempt, Outcome]:
            self.streams.restart()
            return self._attempt(self._connect(patient=False).host)

        host_kernel = SystemMap(self.hosting.kernel.system_map)
        first = self._attempt(stand.host)
        return astray.steadied(first, again, host_kernel, self.progress.note)

    def _connect(self, *, patient: bool) -> hosts.Stand:
        with self.progress.phase("host") as say:
            return hosts.connect(
                self.project,
                self.options.host,
                self.hosting,
                say,
                prefetch=(build_initramfs(self.project),),
                images=staging.written(tuple(map(parse_disk, self.options.disks))),
                patient=patient,
                slot=self.place.slot,
                memory=self.place.memory,
                cpus=self.place.host_cpus,
                devices=self.options.lab_devices,
                uplink=any(net.spec.kind is NetKind.USER for net in parse_nets(self.options.nets)),
            )

    def _attempt(self, host: Host) -> tuple[Attempt, Outcome]:
        """Run the machine on this host, and judge it."""
        # What is staged must be there for as long as the host may run a machine.
        with contextlib.ExitStack() as beyond_the_host:
            try:
                initrd = build_initramfs(self.project, files=self.conduct.files)
                spec = machine_spec(self.options, self.halves.kernel, initrd, self.conduct)
                repeat = f"{self.project.root}/invoke boot {self.options.arguments()}"
                rundir.write_spec(self.run_dir, spec.to_json(), repeat)
                stage = staging.staged(spec, host, self.project, self.run_dir)
                attempt = self._session(host, beyond_the_host.enter_context(stage))
                if host.console:
                    (self.run_dir / "host-console.log").write_text(host.console)
                facts = observe.observation(attempt, self.options, self.halves, self.conduct)
                observe.distrust_if_it_complained(host, facts.host_findings)
                return attempt, judge(facts)
            finally:
                host.close()

    def _session(self, host: Host, files: staging.Staged) -> Attempt:
        options = self.options
        command = options.command or (("sh", "-l") if options.shell else ("true",))
        script, session, lost = Transcript(), None, None
        watch = Watch(self.conduct.kill_on, self.streams.stdout)
        capture = Capture(watch, self.streams.stderr)
        with (
            Ptys(options.ttys) as ttys,
            VncPort(parse_entrance(options.vnc) if options.vnc else None) as viewers,
            self._control(host, ttys, viewers) as control,
            Terminal(shell=options.shell, stdin=options.stdin) as terminal,
            self.progress.phase("boot") as say,
        ):
            request = {"argv": list(command), **terminal.request()}
            request["env"] |= environment_in_guest(options)
            spec = files.spec.to_json()
            if viewers.password:
                spec["display_password"] = viewers.password
            try:
                beside = [
                    host.start_command(argv, cwd=self.run_dir) for argv in self.conduct.beside
                ]
                session = host.start(self.halves.vmm.folder, spec, request, run_dir=self.run_dir)
                drive = Drive(
                    session,
                    replace(
                        self._sinks(capture, watch, terminal, say),
                        control=control,
                        ttys=ttys if options.ttys else None,
                        viewers=viewers if options.vnc else None,
                    ),
                    options.timeout_s,
                    options.deadline_s,
                    bounded=self.conduct.bounded,
                )
                script = drive.transcript
                drive.run()
                if beside:
                    said = "".join(command.stop() for command in beside)
                    (self.run_dir / "beside.log").write_text(said)
            except HostLost as gone:
                lost = gone
            if script.stdin_read is not None or script.exit_code is None:
                terminal.give_back(script.stdin_read or 0)
        self.progress.pause()
        if (error := script.worker_error) is not None:
            script.worker_error = WorkerError(error.kind, files.in_user_s_words(error.message))
        return Attempt(command, script, capture, host, session, lost)

    def _control(self, host: Host, ttys: Ptys, viewers: VncPort) -> ControlServer:
        options = self.options
        for number, path in ttys.paths.items():
            self.progress.note(f"ttyS{number} is {path}")
        for note in viewers.notes():
            self.progress.note(note)
        facts = {
            "host": host.name,
            "cpus": options.cpus,
            "memory_mib": options.memory_mib,
            "kernel": options.kernel.name if options.kernel else self.halves.kernel.label,
            "run": str(self.run_dir),
            "vnc": viewers.place,
            "ttys": {f"ttyS{number}": path for number, path in ttys.paths.items()},
        }
        name = options.name or names.made_of(self.run_dir.name)
        return ControlServer(name, facts, exact=bool(options.name))

    def _sinks(
        self, capture: Capture, watch: Watch, terminal: Terminal, say: Callable[[str], None]
    ) -> Sinks:
        if self.options.shell:
            self.progress.close()  # the terminal is the guest's now
        given = self.conduct.stdin
        return Sinks(
            console_log=self.run_dir / "console.log",
            stdout=capture.stdout,
            stderr=capture.stderr,
            phase=say,
            console=self.streams.console,
            input=terminal.poll if given is None else BytesInput(given).poll,
            typing=self.options.shell,
            enough=lambda: watch.seen,
            reader=self.streams.reader,
        )

    def _not_up(self, lost: HostLost) -> RunRecord:
        (self.run_dir / "console.log").write_text(lost.console)
        waited_s = time.monotonic() - self.start
        outcome = judge(observe.not_up(lost, waited_s))
        outcome = replace(outcome, summary=f"as lab host: {outcome.summary}")
        return observe.record(self.options, self.halves, outcome, self.run_dir)


def _both(outcome: Outcome, suspected: HostLost) -> Outcome:
    """A guest's failure, with word that the same kernel failed as lab host too."""
    lines = (
        f"the same kernel did not come up as lab host: {suspected.message}",
        *suspected.console.splitlines()[-8:],
    )
    return replace(outcome, evidence=(*outcome.evidence, Evidence("lab host", lines)))
