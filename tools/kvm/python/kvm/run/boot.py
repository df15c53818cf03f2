# SPDX-License-Identifier: GPL-2.0-only
"""Boot one machine and judge it: the stages between the options and the record."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.errors import BuildError, InfrastructureError
from kvm.guest.initramfs import build_initramfs
from kvm.host.base import Host, HostLost
from kvm.kernel.build import Kernel
from kvm.project import Project
from kvm.report.live import Progress
from kvm.report.record import ExitCounts, GuestFacts, KernelFacts, RunRecord, Timings
from kvm.run import halves as build_halves
from kvm.run import hosts, rundir, staging
from kvm.run.drive import Drive, Sinks, Transcript
from kvm.run.machine import machine_spec
from kvm.run.options import BootOptions
from kvm.run.terminal import Terminal
from kvm.verdict.console import parse_console
from kvm.verdict.judge import judge
from kvm.verdict.observation import Observation, WorkerError
from kvm.verdict.symbols import SystemMap
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict, passed_on

Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the guest command's output goes; ``console`` shows the kernel's words live."""

    stdout: Write
    stderr: Write
    console: Write | None = None


def build_and_boot(
    project: Project, options: BootOptions, progress: Progress, streams: Streams
) -> RunRecord:
    """Build both halves, boot the one on the other; a compile error is a verdict too."""
    start = time.monotonic()
    try:
        halves = build_halves.build(
            project,
            progress,
            config=options.config,
            items=options.items,
            pinned_only=options.pinned_only,
        )
    except BuildError as failed:
        return _build_failure(failed, options, time.monotonic() - start)
    run_dir = rundir.create(project.runs)
    try:
        return _boot(project, options, progress, streams, halves, run_dir, start)
    except InfrastructureError as trouble:
        outcome = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, str(trouble))
        return _record(options, halves, outcome, None, run_dir, Timings(), "", {})


def _boot(
    project: Project,
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    halves: build_halves.Halves,
    run_dir: Path,
    start: float,
) -> RunRecord:
    initrd = build_initramfs(project)
    spec = machine_spec(options, halves.kernel, initrd)
    rundir.write_spec(run_dir, spec.to_json(), f"{project.root}/invoke boot {options.arguments()}")
    with progress.phase("host") as say:
        host = hosts.connect(project, options.host, halves, say, (initrd,))
    try:
        with staging.staged(spec, host.name, project, run_dir, say) as files:
            script, observed, captured = _session(
                options, progress, streams, host, halves, files, run_dir
            )
    finally:
        host.close()
    outcome = judge(observed)
    timings = _timings(halves, host, script, time.monotonic() - start)
    return _record(options, halves, outcome, script, run_dir, timings, host.name, captured)


def _session(
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    host: Host,
    halves: build_halves.Halves,
    files: staging.Staged,
    run_dir: Path,
) -> tuple[Transcript, Observation, dict[str, Any]]:
    """Run the machine; its transcript and everything that was observed of it."""
    command = options.command or (("sh", "-l") if options.shell else ("true",))
    lost = ""
    script = Transcript()
    session = None
    captured = _Capture(streams)
    with Terminal(active=options.shell) as terminal, progress.phase("boot") as say:
        run = {"argv": list(command), "env": {}, **terminal.request()}
        try:
            session = host.start(halves.vmm.folder, files.spec.to_json(), run, run_dir=run_dir)
            if options.shell:
                progress.close()
            sinks = Sinks(
                console_log=run_dir / "console.log",
                stdout=captured.stdout,
                stderr=captured.stderr,
                phase=say,
                console=streams.console,
                input=terminal.poll if options.shell else None,
            )
            drive = Drive(session, sinks, options.timeout_s, options.deadline_s)
            script = drive.transcript
            drive.run()
        except HostLost as gone:
            lost = str(gone)
    progress.pause()
    if (error := script.worker_error) is not None:
        script.worker_error = WorkerError(error.kind, files.in_user_s_words(error.message))
    observed = _observe(options, command, script, session, lost, host, halves.kernel)
    return script, observed, captured.to_json()


class _Capture:
    """Passes output on and keeps its beginning for the record."""

    _LIMIT = 64 << 10

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._kept = {"stdout": bytearray(), "stderr": bytearray()}

    def stdout(self, data: bytes) -> None:
        self._keep("stdout", data)
        self._streams.stdout(data)

    def stderr(self, data: bytes) -> None:
        self._keep("stderr", data)
        self._streams.stderr(data)

    def to_json(self) -> dict[str, Any]:
        return {name: data.decode(errors="replace") for name, data in self._kept.items()}

    def _keep(self, name: str, data: bytes) -> None:
        kept = self._kept[name]
        kept += data[: self._LIMIT - len(kept)]


def _observe(
    options: BootOptions,
    command: tuple[str, ...],
    script: Transcript,
    session: Any,
    lost: str,
    host: Host,
    kernel: Kernel,
) -> Observation:
    result = script.result or {}
    log_buf = result.get("log_buf")
    return Observation(
        command=command,
        findings=script.console.findings,
        console_tail=tuple(script.console.tail),
        log_buf=base64.b64decode(log_buf) if log_buf else None,
        hello=script.hello is not None,
        exit_code=script.exit_code,
        exit_signal=script.exit_signal,
        guest_error=script.guest_error,
        stop=result.get("stop"),
        stop_detail=result.get("detail", ""),
        registers=tuple(result.get("registers", ())),
        last_exits=tuple(result.get("last_exits", ())),
        worker_status=session.exit_status if session is not None else None,
        worker_error=script.worker_error,
        worker_stderr=tuple(session.stderr_tail.splitlines()) if session is not None else (),
        host_findings=parse_console(host.console),
        host_lost=lost,
        deadline=script.deadline,
        deadline_s=script.deadline_s,
        interrupted=script.interrupted,
        allow_warnings=options.allow_warnings,
        symbols=SystemMap(kernel.system_map) if options.kernel is None else None,
    )


def _timings(
    halves: build_halves.Halves, host: Host, script: Transcript, total_s: float
) -> Timings:
    def between(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else second - first

    return Timings(
        kernel_build=halves.kernel.seconds,
        vmm_build=halves.vmm.seconds,
        host_boot=host.boot_s,
        vmm_start=script.started_s,
        guest_init=between(script.started_s, script.hello_s),
        command=between(script.hello_s, script.exit_s),
        total=total_s,
    )


def _record(
    options: BootOptions,
    halves: build_halves.Halves,
    outcome: Outcome,
    script: Transcript | None,
    run_dir: Path,
    timings: Timings,
    host: str,
    captured: dict[str, Any],
) -> RunRecord:
    hello = (script.hello if script else None) or {}
    own = script.exit_code if script is not None else None
    code = outcome.exit_code
    if outcome.reason is Reason.GUEST_EXIT and own:
        code = passed_on(own)
    kernel = KernelFacts(halves.kernel.label, halves.kernel.id, str(halves.kernel.vmlinux))
    if options.kernel is not None:
        kernel = KernelFacts(hello.get("release", options.kernel.name), "", str(options.kernel))
    record = RunRecord(
        outcome=outcome,
        host=host or options.host,
        exit_code=code,
        kernel=kernel,
        vmm_id=halves.vmm.id,
        guest=GuestFacts(
            cpus=int(hello.get("cpus", options.cpus)),
            memory_mib=options.memory_mib,
            transport=hello.get("transport", ""),
            exit_code=own,
            signal=script.exit_signal if script is not None and own is not None else None,
            stdout=captured.get("stdout", ""),
            stderr=captured.get("stderr", ""),
        ),
        timings=timings,
        exits=ExitCounts.from_result((script.result or {}).get("exits") if script else None),
        run_dir=run_dir,
        command=options.command,
        repeat=f"./invoke boot {options.arguments()}".strip(),
    )
    record.write(run_dir / "result.json")
    return record


def _build_failure(failed: BuildError, options: BootOptions, total_s: float) -> RunRecord:
    outcome = Outcome(
        Verdict.FAIL,
        Reason.BUILD_FAILURE,
        failed.message,
        (Evidence("compiler", failed.errors),),
    )
    return RunRecord(
        outcome=outcome,
        host=options.host,
        exit_code=outcome.exit_code,
        timings=Timings(total=total_s),
        command=options.command,
    )
