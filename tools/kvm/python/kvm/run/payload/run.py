# SPDX-License-Identifier: GPL-2.0-only
"""The job of running one payload, for ``run/spine.py``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.host.base import Host, HostLost
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts, observe
from kvm.run.drive import Limits, Reader, Sinks, Transcript
from kvm.run.halves import Halves
from kvm.run.hosts import Wanted
from kvm.run.observe import Attempt, Capture
from kvm.run.payload.machine import environment, payload_spec
from kvm.run.payload.options import PayloadOptions
from kvm.run.record import GuestFacts, KernelFacts, RunRecord
from kvm.run.spine import Attached, Run, RunSite, build_and_run
from kvm.say import Say
from kvm.spec.machine import MachineSpec
from kvm.verdict.known import signatures
from kvm.verdict.observation import Observation
from kvm.verdict.payload import exit_code_of
from kvm.verdict.vocabulary import Outcome

Write = Callable[[bytes], None]


def run_payload(
    project: Project,
    options: PayloadOptions,
    progress: Progress,
    output: Write,
    reader: Reader | None = None,
) -> RunRecord:
    """Build both halves, run the payload, judge. Its serial output goes to ``output``, whose
    ``reader`` is waited for."""
    job = PayloadJob(options, output, reader)
    return build_and_run(project, progress, job, pinned_only=options.pinned_only)


def run_built(
    project: Project,
    halves: Halves,
    options: PayloadOptions,
    progress: Progress,
    output: Write,
    site: RunSite,
) -> RunRecord:
    """Run a payload on built halves; their kernel is the lab host's."""
    job = PayloadJob(options, output)
    return Run(project, halves, progress, site, time.monotonic(), job).to_record()


def wanted_host(kind: str) -> Wanted:
    """The host for a payload: the kernel under test itself, or this machine's KVM."""
    return Wanted(kind, runs_linux=False)


def open_host(
    project: Project, kind: str, halves: Halves, progress: Progress, site: RunSite
) -> Host:
    """Open the host for a payload. Raises ``HostLost`` when its kernel does not come up."""
    wanted = replace(wanted_host(kind), slot=site.slot, cpus=site.host_cpus)
    with progress.phase("host") as say:
        try:
            return hosts.connect(project, wanted, halves, say, notes=site.notes).host
        except hosts.KernelNotUp as failed:
            raise failed.lost from failed


@dataclass(frozen=True, slots=True)
class PayloadJob:
    """A ``spine.Job``."""

    options: PayloadOptions
    output: Write
    reader: Reader | None = None

    name = "payload"

    @property
    def command(self) -> tuple[str, ...]:
        return (str(self.options.file), *self.options.append.split())

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command

    @property
    def repeat(self) -> str:
        return f"payload {self.options.repeat}"

    @property
    def host(self) -> str:
        return self.options.host

    def wanted(self) -> Wanted:
        return wanted_host(self.options.host)

    @property
    def limits(self) -> Limits:
        return Limits(self.options.timeout_s, self.options.timeout_s, bounded=True)

    def restart(self) -> None:
        """Do nothing: its output so far has been passed on and stays."""

    def capture(self) -> Capture:
        return Capture(self.output, self.output)

    def spec(self, halves: Halves, run_dir: Path) -> MachineSpec:
        module = self.options.environment
        if module is None:
            module = run_dir / "environment"
            module.write_text(environment(self.options))
        return payload_spec(self.options, module, module.read_text(errors="replace"))

    repeatable = True

    def machine(self, spec: MachineSpec, held: contextlib.ExitStack) -> None:
        """A payload's machine is always started."""

    @contextlib.contextmanager
    def attached(
        self, halves: Halves, host: Host, run_dir: Path, capture: Capture, say: Say
    ) -> Iterator[Attached]:
        yield Attached(
            Sinks(
                console_log=run_dir / "console.log",
                stdout=capture.stdout,
                stderr=capture.stderr,
                phase=say,
                console=capture.stdout,
                reader=self.reader,
            )
        )

    def observation(self, attempt: Attempt, halves: Halves) -> Observation:
        return replace(
            observe.session_facts(attempt),
            payload=self.options.file.name,
            expected=self.options.expected,
            allow_warnings=True,  # the payload's; warnings of its host count
            known_warnings=signatures(self.options.known_warnings),
        )

    def not_up(self, lost: HostLost, waited_s: float) -> Outcome:
        return observe.host_lost(lost)

    def kernel(self, halves: Halves, script: Transcript) -> KernelFacts:
        return KernelFacts.of(halves.kernel)

    def guest(self, attempt: Attempt | None) -> GuestFacts:
        options = self.options
        if attempt is None:
            return GuestFacts(cpus=options.vcpus, memory_mib=options.memory_mib)
        result = attempt.script.result or {}
        return GuestFacts(
            cpus=options.vcpus,
            memory_mib=options.memory_mib,
            exit_code=int(result["detail"]) if result.get("stop") == "debug_exit" else None,
            stdout=attempt.capture.text("stdout"),
        )

    def exit_code(self, outcome: Outcome, script: Transcript) -> int:
        return exit_code_of(outcome)
