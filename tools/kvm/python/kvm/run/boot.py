# SPDX-License-Identifier: GPL-2.0-only
"""The job of booting a kernel and running a command in it, for ``run/spine.py``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kvm.control import names
from kvm.control.server import ControlServer
from kvm.guest.initramfs import build_initramfs
from kvm.host.agent_files import user_network_library
from kvm.host.base import Host, HostLost
from kvm.host.qemu import UPLINK
from kvm.host.snapshot import BootedMachine, Use
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import images, observe, ports, staging
from kvm.run.drive import Limits, Reader, Sinks, Transcript
from kvm.run.extras import BytesInput, RunExtras, StreamWatch
from kvm.run.halves import Halves
from kvm.run.hosts import Wanted
from kvm.run.machine import environment_in_guest, machine_spec
from kvm.run.observe import Attempt, Capture
from kvm.run.options import BootOptions
from kvm.run.ptys import Ptys
from kvm.run.record import GuestFacts, KernelFacts, RunRecord
from kvm.run.snapshots import Snapshot
from kvm.run.spine import Attached, Run, RunSite, build_and_run
from kvm.run.terminal import Terminal
from kvm.run.vnc import VncPort, parse_entrance
from kvm.say import Say
from kvm.spec.machine import MachineSpec
from kvm.spec.network import NetKind
from kvm.verdict.judge import judge
from kvm.verdict.observation import Observation
from kvm.verdict.vocabulary import Outcome, Reason, passed_on

Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the guest command's output goes; ``console`` gets the kernel's output live.

    ``reader`` is what reads these streams, if it may be slow. ``restart`` is called before a
    machine that the emulator may have lost is booted again: its output then starts over.
    """

    stdout: Write
    stderr: Write
    console: Write | None = None
    reader: Reader | None = None
    restart: Callable[[], None] = lambda: None


def build_and_boot(
    project: Project,
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    extras: RunExtras | None = None,
) -> RunRecord:
    """Build both halves and boot the guest, or let a snapshot of theirs go on (``--from``).

    A compile error is a verdict too.
    """
    if options.name:
        names.ensure_free(options.name)
    ports.require_free(options.nets)
    extras = extras or RunExtras()
    if options.from_:
        snapshot = Snapshot.load(project, options.from_)
        extras = replace(
            extras,
            machine=snapshot.clone(),
            snapshot=snapshot,
            repeat=f"boot {options.arguments()}",
        )
        options = snapshot.options(options)
    job = BootJob(project, options, progress, streams, extras)
    return build_and_run(
        project,
        progress,
        job,
        config=options.config,
        items=options.items,
        pinned_only=options.pinned_only,
        hold_host=options.hold_host,
    )


def boot_built(
    project: Project,
    halves: Halves,
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    site: RunSite,
    extras: RunExtras | None = None,
) -> RunRecord:
    """Boot halves that are already built."""
    job = BootJob(project, options, progress, streams, extras or RunExtras())
    return Run(project, halves, progress, site, time.monotonic(), job).to_record()


@dataclass(frozen=True, slots=True)
class BootJob:
    """A ``spine.Job``."""

    project: Project
    options: BootOptions
    progress: Progress
    streams: Streams
    extras: RunExtras

    name = "boot"

    @property
    def command(self) -> tuple[str, ...]:
        return self.options.command

    @property
    def argv(self) -> tuple[str, ...]:
        return self.options.command or (("sh", "-l") if self.options.shell else ("true",))

    @property
    def repeat(self) -> str:
        return self.extras.repeat or f"boot {self.options.arguments()}"

    @property
    def host(self) -> str:
        return self.options.host

    def wanted(self) -> Wanted:
        options = self.options
        return Wanted(
            options.host,
            prefetch=(build_initramfs(self.project),),
            images=staging.written(options.disks),
            devices=options.lab_devices,
            uplink=any(net.kind is NetKind.USER for net in options.nets),
        )

    @property
    def repeatable(self) -> bool:
        return self.extras.live is None

    @property
    def limits(self) -> Limits:
        return Limits(self.options.timeout_s, self.options.deadline_s, self.extras.bounded)

    def restart(self) -> None:
        self.streams.restart()

    def capture(self) -> Capture:
        return Capture(self.streams.stdout, self.streams.stderr)

    def spec(self, halves: Halves, run_dir: Path) -> MachineSpec:
        if self.extras.snapshot is not None:
            self.extras.snapshot.require(self.project, halves)
        initrd = build_initramfs(self.project, files=self.extras.files)
        return machine_spec(self.options, halves.kernel, initrd, self.extras)

    def machine(self, spec: MachineSpec, held: contextlib.ExitStack) -> BootedMachine | None:
        wanted = self.extras.machine
        if wanted is None or wanted.use is Use.NEED:
            return wanted
        disks = images.claim_all(spec.disks, held)
        # These are users' networks; the uplink of its lab host is none of their business.
        nets = tuple(replace(net, closed=(UPLINK,)) for net in spec.nets)
        return replace(
            wanted,
            spec=replace(spec, nets=nets).to_json(),
            files=(*filter(None, (spec.kernel, spec.initrd)), *disks),
            libraries=user_network_library() if nets else (),
            users=(*filter(None, (self.options.kernel, self.options.initrd)), *disks),
        )

    @contextlib.contextmanager
    def attached(
        self, halves: Halves, host: Host, run_dir: Path, capture: Capture, say: Say
    ) -> Iterator[Attached]:
        """Attach the user's terminal, ptys and viewers, and the socket for ``machine.*``."""
        options = self.options
        with (
            Ptys(options.ttys) as ttys,
            VncPort(parse_entrance(options.vnc) if options.vnc else None) as viewers,
            self._control(halves, host, run_dir, ttys, viewers) as control,
            Terminal(shell=options.shell, stdin=options.stdin) as terminal,
        ):
            if options.shell:
                self.progress.close()  # the terminal is the guest's now
            live = self.extras.live
            self.extras.hosted(host)
            request: dict[str, Any] = {"argv": list(self.argv), **terminal.request()}
            request["env"] |= environment_in_guest(options)
            watch = StreamWatch(self.extras.kill_on, capture.stdout)
            sinks = Sinks(
                console_log=run_dir / "console.log",
                stdout=watch,
                stderr=capture.stderr,
                phase=say,
                console=self.streams.console,
                input=None if live is not None else self._input(terminal),
                typing=options.shell,
                enough=lambda: watch.seen,
                reader=self.streams.reader,
                control=control,
                ttys=ttys if options.ttys else None,
                viewers=viewers if options.vnc else None,
                live=live,
            )

            def ended(script: Transcript) -> None:
                if script.stdin_read is not None or script.exit_code is None:
                    terminal.give_back(script.stdin_read or 0)

            secrets = {"display_password": viewers.password} if viewers.password else {}
            yield Attached(
                sinks,
                request if live is None else None,
                secrets,
                self.extras.beside,
                ended,
                self.extras.started,
            )

    def observation(self, attempt: Attempt, halves: Halves) -> Observation:
        return observe.observation(attempt, self.options, halves, self.extras)

    def not_up(self, lost: HostLost, waited_s: float) -> Outcome:
        outcome = judge(observe.not_up(lost, waited_s))
        return replace(outcome, summary=f"as lab host: {outcome.summary}")

    def kernel(self, halves: Halves, script: Transcript) -> KernelFacts:
        stock = self.options.kernel
        if stock is not None:
            return KernelFacts((script.hello or {}).get("release", stock.name), "", str(stock))
        return KernelFacts.of(halves.kernel)

    def guest(self, attempt: Attempt | None) -> GuestFacts:
        options = self.options
        if attempt is None:
            return GuestFacts(cpus=options.vcpus, memory_mib=options.memory_mib)
        script = attempt.script
        hello = script.hello or {}
        return GuestFacts(
            cpus=int(hello.get("cpus", options.vcpus)),
            memory_mib=options.memory_mib,
            transport=hello.get("transport", ""),
            hello_uptime_s=int(hello.get("uptime_ns", 0)) / 1e9,
            exit_code=script.exit_code,
            signal=script.exit_signal if script.exit_code is not None else None,
            stdout=attempt.capture.text("stdout"),
            stderr=attempt.capture.text("stderr"),
        )

    def exit_code(self, outcome: Outcome, script: Transcript) -> int:
        """Pass on the guest command's own exit code."""
        own = script.exit_code
        return passed_on(own) if outcome.reason is Reason.GUEST_EXIT and own else outcome.exit_code

    def _input(self, terminal: Terminal) -> Callable[[], list[dict[str, Any]]]:
        given = self.extras.stdin
        return terminal.poll if given is None else BytesInput(given).poll

    def _control(
        self, halves: Halves, host: Host, run_dir: Path, ttys: Ptys, viewers: VncPort
    ) -> ControlServer:
        options = self.options
        for number, path in ttys.paths.items():
            self.progress.note(f"ttyS{number} is {path}")
        for note in viewers.notes():
            self.progress.note(note)
        facts = {
            "host": host.name,
            "cpus": options.vcpus,
            "memory_mib": options.memory_mib,
            "kernel": options.kernel.name if options.kernel else halves.kernel.label,
            "run": str(run_dir),
            "vnc": viewers.place,
            "ttys": {f"ttyS{number}": path for number, path in ttys.paths.items()},
        }
        name = options.name or names.made_of(run_dir.name)
        return ControlServer(name, facts, exact=bool(options.name))
