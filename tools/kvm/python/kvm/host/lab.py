# SPDX-License-Identifier: GPL-2.0-only
"""The lab host: the tree's kernel under QEMU, with the tree's KVM for machines to run on.

Each command gets a new one, which goes on from a lab host that was saved after its boot
(``saved.py``), and ends with the command. One that can't be saved is kept instead: a command finds
the one that an earlier command left, checks that it answers, and uses it. A lock lets only one
command at a time use a slot's lab host; commands that run side by side have a slot each, unless
theirs is kept. If it is lost in the middle, the sessions raise ``HostLost`` with its console, and
the next start brings up a new one.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kvm.host import bundle, exports, forwards, labs, snapshot
from kvm.host.agent_files import PreloadedVmm
from kvm.host.base import Event, HostHung, HostLost, HostRefused
from kvm.host.bring_up import BringUp
from kvm.host.channel import Channel, ChannelClosed, ChannelTimeout, Message, RequestFailed
from kvm.host.given import Kept
from kvm.host.instance import (
    MAIN_SLOT,
    Instance,
    instance,
    instances,
    machine_key,
    slot_folder,
)
from kvm.host.kernel import HostKernel
from kvm.host.lab_machine import LabSettings, lab_machine
from kvm.host.lab_session import LabCommand, LabSession, Sink
from kvm.host.qemu import (
    BINARY,
    UPLINK,
    UPLINK_SELF,
    LabMachine,
    has_user_network,
)
from kvm.host.saved import NotSaved, hosts_in, snapshots_in
from kvm.host.snapshot import SESSION, BootedMachine, NotBooted, Use
from kvm.lock import first_free
from kvm.process import CommandError
from kvm.project import Project
from kvm.spec.network import Forward
from kvm.verdict.console import parse_console

_SLOTS = 2  # or one for each CPU: more lab hosts at once would only slow each other down
_REUSE_S = 15.0
_PING_S = 20.0
_CLOSE_S = 30.0
_ENTROPY_BYTES = 64
_INITS = "toolskvm: "  # guest/say.c begins its lines with this
_PINGS = 6  # while this computer does not run it


@dataclass(frozen=True, slots=True)
class LabNeeds:
    """The needs of a command for its lab host.

    ``artifact`` is the VMM that will be used first. The kernel and the files in ``prefetch`` are
    read while the VMM starts. ``images`` are the disks that its machines must be able to write.
    ``uplink`` asks for a network to this machine, left out if QEMU has none. ``machine`` is one to
    go on from (``LabHost.clone``).
    """

    artifact: Path | None = None
    prefetch: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    uplink: bool = False
    machine: BootedMachine | None = None


class LabHost:
    """The lab host of one kernel, as one command uses it. Open it in a ``with``."""

    name = "lab"

    def __init__(
        self,
        project: Project,
        kernel: HostKernel,
        needs: LabNeeds | None = None,
        *,
        settings: LabSettings | None = None,
        slot: str = MAIN_SLOT,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Bring it up.

        Raises ``HostPanic`` when the kernel does not come up, ``HostLost``, ``UserError``.
        """
        self.boot_s = 0.0
        self.modules: Mapping[str, range] = {}
        needs = needs or LabNeeds()
        self._project = project
        self._settings = settings or LabSettings()
        self._say = say
        self._sinks: dict[int, Sink] = {}
        # They differ from any earlier client's, and from that of a saved machine's.
        self._numbers = itertools.count((secrets.randbits(30) << 20) + 1)
        self._wanted = needs.machine
        self._loss: HostLost | None = None
        self._closing = False
        self._console_start = 0
        self._resources = contextlib.ExitStack()
        try:
            self._bundles: dict[Path, Path | None] = {}
            self._artifact = needs.artifact
            plain = lab_machine(project, kernel.vmlinux, self._settings, self._preloaded())
            self._slot = self._take_slot(slot, several=plain.savable)
            if plain.savable:
                labs.stop(project, self._slot)  # left by a killed command
            plain = replace(plain, exports=self._exports(needs.images))
            self._machine, self._instance = self._choose(plain, kernel.id, uplink=needs.uplink)
            if self._machine.savable:
                self._resources.callback(self._instance.discard)
            self._bring_up = BringUp(
                self._machine,
                self._instance,
                kernel,
                hosts_in(project.cache),
                snapshots_in(project.cache),
                self._settings,
                say,
                self._hear,
                self._on_closed,
            )
            self._prefetch = (kernel.vmlinux, *needs.prefetch)
            self._channel = self._reuse() or self._boot()
        except BaseException:
            self._resources.close()
            raise

    def __enter__(self) -> LabHost:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def restored(self) -> bool:
        return self._bring_up.restored

    @property
    def share(self) -> Path:
        """The checkout's ``build``: both sides write it and see each other's changes at once."""
        return self._machine.share

    @property
    def disk_folders(self) -> tuple[Path, ...]:
        return self._machine.exports

    @property
    def uplink(self) -> str:
        return UPLINK if self._machine.uplink else ""

    def lend_ports(self, ports: Sequence[tuple[Forward, Forward]]) -> forwards.Lease:
        self._ensure(None)
        rules = [f"{ours.host}-{UPLINK_SELF}:{theirs.host_port}" for ours, theirs in ports]
        return forwards.Lease(self._instance.folder, rules)

    def seen(self, path: Path) -> Path:
        return self._machine.seen(path)

    @property
    def console(self) -> str:
        if self._loss is not None:
            return self._loss.console  # its files may be gone
        return self._instance.console_text(self._console_start)

    def start(self, artifact: Path, spec: Event, run: Event | None, *, run_dir: Path) -> LabSession:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._ensure(artifact)
        session = LabSession(self, next(self._numbers), run_dir)
        self._sinks[session.number] = session
        self._start(session.number, spec, run, run_dir)
        return session

    def _start(self, number: int, spec: Event, run: Event | None, cwd: Path) -> None:
        assert self._artifact is not None
        bundled = self._bundle(self._artifact)
        self.post(
            "start",
            session=number,
            artifact=str(self._artifact),
            bundle=None if bundled is None else str(bundled),
            cwd=str(cwd),
            input=json.dumps({"spec": spec, "run": run}),
        )

    @property
    def has_clone(self) -> bool:
        return self._bring_up.booted is not None

    def clone(self, run: Event | None, *, run_dir: Path) -> LabSession | None:
        """The saved machine goes on, with this command, for the first who asks; None: start one."""
        earlier = self._bring_up.booted
        if earlier is None:
            return None
        self._bring_up.booted = None
        run_dir.mkdir(parents=True, exist_ok=True)
        session = self._sinks[SESSION] = LabSession(self, SESSION, run_dir, earlier)
        if self._wanted is not None and self._wanted.rewindable:
            session.send({"ask": SESSION, "what": "rewind"})  # to the time of its checkpoint
        session.send({"fresh": snapshot.fresh()})
        if run is not None:
            session.send({"run": run})
        session.send({"ask": SESSION, "what": "resume"})
        return session

    def run_command(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 600.0,
        on_output: Callable[[str], None] | None = None,
    ) -> tuple[int, str]:
        return self._exec(argv, env, cwd).follow(timeout_s, on_output)

    def start_command(self, argv: Sequence[str | Path], *, cwd: Path | None = None) -> LabCommand:
        return self._exec(argv, None, cwd)

    def _exec(
        self, argv: Sequence[str | Path], env: Mapping[str, str] | None, cwd: Path | None
    ) -> LabCommand:
        self._ensure(None)
        words = [str(word) for word in argv]
        command = LabCommand(self, next(self._numbers), words)
        self._sinks[command.number] = command
        folder = str(cwd or Path.cwd())
        self.post("exec", session=command.number, argv=words, env=dict(env or {}), cwd=folder)
        return command

    def info(self) -> Message:
        """The agent's view of its machine: kvm, cpus, memory_mib, release, clocksource."""
        return self.request("info")

    def ping(self) -> float:
        """Seconds the agent took to answer."""
        start = time.monotonic()
        self.request("ping")
        return time.monotonic() - start

    def beat(self) -> None:
        """Show the keeper that a client is connected, while the channel's thread waits."""
        self._channel.beat()

    def request(self, op: str, **fields: object) -> Message:
        """Send a request. Raises ``HostLost``; a lab host that does not answer is ended."""
        kept = self.kept()
        for further in reversed(range(_PINGS)):
            try:
                return self._channel.request(op, _PING_S, **fields)
            except ChannelTimeout as late:
                if not further or kept() < _PING_S / 2:
                    raise self.end_as_lost(str(late)) from late
            except ChannelClosed as closed:
                raise self._lost() from closed
        raise AssertionError("the last one is answered or not")

    def post(self, op: str, **fields: object) -> None:
        """Send to the agent without an answer. Raises ``HostLost``."""
        try:
            self._channel.post(op, **fields)
        except ChannelTimeout as late:
            raise self.end_as_lost(str(late)) from late
        except ChannelClosed as closed:
            raise self._lost() from closed

    def kept(self) -> Kept:
        """A measure of how long this computer does not run it, that is, QEMU."""
        return self._instance.kept()

    def end_as_lost(self, why: str) -> HostLost:
        """End it because it hangs, so that the next start boots a new one."""
        if self._loss is None:
            self._loss = HostHung(f"the lab host hangs: {why}", console=self.console)
            self._instance.discard()
        return self._loss

    def distrust(self, why: str) -> None:
        """End it, so that the next start boots a new one."""
        self._say(f"{why}: the next machine gets a new lab host")
        self.end_as_lost(why)

    def forget(self, number: int) -> None:
        """Drop a session that is over."""
        self._sinks.pop(number, None)

    def close(self) -> None:
        """Disconnect, and end it. One that can't be saved is kept: its agent ends our sessions.

        Its machines have ended by then: claims on their disks may be dropped after this.
        """
        if self._closing:
            return
        self._closing = True
        try:
            if not self._machine.savable:
                self._end_sessions()
        finally:
            self._channel.close()
            self._resources.close()

    def _end_sessions(self) -> None:
        end = time.monotonic() + _CLOSE_S  # by the wall clock: the user waits for us
        with contextlib.suppress(HostLost):
            for session in [s for s in self._sinks.values() if isinstance(s, LabSession)]:
                session.kill()
                for _ in session.events():
                    if time.monotonic() >= end:
                        raise self.end_as_lost("it does not end its workers")

    # Getting one

    def _ensure(self, artifact: Path | None) -> None:
        self._artifact = artifact or self._artifact
        if self._loss is not None:
            self._channel.close()
            self._sinks.clear()
            self._loss = None
            self._channel = self._boot()

    def _take_slot(self, slot: str, *, several: bool) -> str:
        """The wanted slot, or one beside it if that is in use; ours until we close."""
        beside = range(2, max(_SLOTS, os.cpu_count() or 1) + 1) if several else ()
        names = (slot, *(f"{slot}-{number}" for number in beside))
        locks = [slot_folder(self._project, name) / "lock" for name in names]
        purpose = "a command that uses the lab host"
        taken = self._resources.enter_context(first_free(locks, purpose, say=self._say))
        return taken.parent.name

    def _exports(self, images: Sequence[Path]) -> tuple[Path, ...]:
        """The exports of the lab host that is kept in this slot, if enough for ``images``."""
        running = (one for one in instances(self._project, self._slot) if one.running)
        have = [folder for one in running for folder in exports.recorded(one.folder)]
        exports.tidy(have)
        return exports.choose(images, self._project.build, have)

    def _choose(
        self, plain: LabMachine, kernel_id: str, *, uplink: bool
    ) -> tuple[LabMachine, Instance]:
        """Choose the machine; a running one with an uplink also serves commands without one."""

        def found(machine: LabMachine) -> tuple[LabMachine, Instance]:
            key = machine_key(self._project, self._slot, machine, kernel_id)
            return machine, instance(self._project, self._slot, key)

        linked = found(replace(plain, uplink=True))
        if linked[1].running or (uplink and has_user_network()):
            return linked
        if uplink:
            self._say(f"{BINARY} has no user network: the lab host gets no uplink")
        return found(plain)

    def _reuse(self) -> Channel | None:
        """Connect to the running one if it is the wanted one and healthy; end all others."""
        for other in instances(self._project, self._slot):
            if other.key != self._instance.key:
                other.discard()
        if not self._instance.running:
            return None
        self._console_start = self._instance.console_bytes
        # A kernel that has complained does not report the next such fault: it warns once, and
        # lockdep switches itself off.
        complaints = parse_console(self._instance.console_text())
        if complaints:
            self._say(f"the lab host's kernel had complained ({complaints[0].title}); booting anew")
            return None
        try:
            end = time.monotonic() + _REUSE_S  # of the wall clock: it can be replaced
            return self._bring_up.connect(lambda: time.monotonic() >= end)
        except (ChannelClosed, ChannelTimeout):
            self._say("the lab host does not answer; booting it again")
            return None

    def _boot(self) -> Channel:
        start = time.monotonic()
        self._console_start = 0
        self._channel = self._bring_up.start(self._preloaded(), self._wanted)
        if self._wanted is not None and self._bring_up.booted is None:
            self._boot_machine(self._wanted)
        self._prepare(self._channel)
        self.boot_s += time.monotonic() - start
        return self._channel

    def _boot_machine(self, wanted: BootedMachine) -> None:
        """Boot a machine and save it with this lab host; what prevents that is only told, unless
        the user wants just that. Raises ``HostLost``, ``NotBooted``."""
        if not self._machine.savable:
            return
        self._say("booting the machine to be saved")
        session = LabSession(self, SESSION, self._instance.folder)
        self._sinks[SESSION] = session
        files = [str(path) for path in wanted.files]
        try:
            pairs = [(os.path.realpath(path), path) for path in files]
            pairs += [(str(one.source), one.target) for one in wanted.libraries]
            for pair in pairs:
                self.request("fetch", files=[*pair])
            self._start(SESSION, wanted.spec, None, Path("/"))
            events = snapshot.boot(session, wanted, self._settings.boot_deadline_s)
            self.request("keep", session=SESSION, files=files)
            self._bring_up.booted = events
            self._bring_up.save_with(wanted, self._preloaded())
        except (NotBooted, NotSaved, RequestFailed) as why:
            if wanted.use is Use.MAKE:
                raise NotBooted(f"the machine can't be saved: {why}") from why
            self._say(f"the machine can't be saved, so that each is booted: {why}")
            self._sinks.clear()
            self._channel.close()
            self._channel = self._bring_up.start(self._preloaded())

    def _preloaded(self) -> PreloadedVmm | None:
        bundled = None if self._artifact is None else self._bundle(self._artifact)
        if self._artifact is None or bundled is None:
            return None
        return PreloadedVmm(self._artifact, bundled)

    def _prepare(self, channel: Channel) -> None:
        """Let the agent take our files, and import and read what we will need first."""
        preload = []
        if self._artifact is not None:
            preload = [str(self._artifact), str(self._bundle(self._artifact) or "")]
        try:
            answer = self.request(
                "prepare",
                time_ns=time.time_ns(),
                entropy=secrets.token_hex(_ENTROPY_BYTES),
                share=str(self._machine.share),
                exports=self._machine.mounts,
                modules=[str(module) for module in self._bring_up.to_insert],
                preload=preload,
                prefetch=[str(path) for path in self._prefetch],
            )
        except RequestFailed as failed:
            console = self.console
            channel.close()
            self._instance.discard()
            lines = [line for line in reversed(console.splitlines()) if line.strip()]
            # The kernel may have more to say after its init.
            said = next((line for line in lines if _INITS in line), lines[0] if lines else failed)
            why = f"the kernel can't be a lab host: {said}"
            raise HostRefused(why, console=console) from None
        places = dict(answer["modules"]).items()
        self.modules = {name: range(start, start + size) for name, (start, size) in places}

    def _bundle(self, artifact: Path) -> Path | None:
        """The worker's bundle; None if it can't be imported here: the lab host then says why."""
        if artifact not in self._bundles:
            self._bundles[artifact] = None
            with contextlib.suppress(CommandError):
                self._bundles[artifact] = bundle.make_bundle(
                    self._project.cache, ("kvm.vm.worker",), artifact
                )
        return self._bundles[artifact]

    # Called on the channel's thread

    def _hear(self, message: Any) -> None:
        """Take an unrequested report: a ``wire.agent.Report``, or one on the zygote."""
        if "zygote" in message:
            self._say(f"the VMM can't be preloaded:\n{message['zygote']}")
        elif (sink := self._sinks.get(message.get("session", -1))) is not None:
            sink.hear(message)

    def _on_closed(self) -> None:
        loss = self._lost()
        for sink in list(self._sinks.values()):
            sink.lose(loss)

    # Losing it

    def _lost(self) -> HostLost:
        if self._loss is None:
            self._loss = self._instance.loss(self._console_start)
        return self._loss
