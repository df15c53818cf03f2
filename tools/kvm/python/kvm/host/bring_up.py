# SPDX-License-Identifier: GPL-2.0-only
"""Brings a lab host up: from one that was saved, or by a boot, after which it is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from kvm.host import saved as saved_hosts
from kvm.host.agent_files import PreloadedVmm, vmm_files
from kvm.host.base import Event, HostHung, HostLost
from kvm.host.channel import (
    Channel,
    ChannelClosed,
    ChannelTimeout,
    Message,
    NotListening,
    RequestFailed,
)
from kvm.host.given import GivenClock, Span
from kvm.host.instance import Instance
from kvm.host.kernel import HostKernel
from kvm.host.lab_machine import LabSettings, real_python
from kvm.host.qemu import LabMachine, SavedState
from kvm.host.saved import NotSaved, Store, key_of, with_machine, with_modules, with_vmm
from kvm.host.snapshot import BootedMachine, NotBooted, Use
from kvm.say import Say
from kvm.verdict.console import parse_console

_KEEPER_GRACE_S = 60.0
# One that was saved needs a fraction of a second; a loaded computer gives QEMU less.
_RESTORE_S = 15.0
_PRELOAD_S = 60.0
_LOOK_S = 0.003

T = TypeVar("T")


@dataclass(slots=True)
class BringUp:
    """One lab host and the means to bring it up, any number of times.

    ``restored``: the last time it went on from a saved one, and did not boot. ``to_insert`` are the
    kernel's modules that are not inserted yet. ``booted`` are the events of a machine that was
    saved with it; None without one. ``machines`` has the lab hosts that were saved with one.
    """

    machine: LabMachine
    instance: Instance
    kernel: HostKernel
    store: Store
    machines: Store
    settings: LabSettings
    say: Say
    on_message: Callable[[Message], None]
    on_closed: Callable[[], None]
    restored: bool = False
    to_insert: tuple[Path, ...] = ()
    booted: tuple[Event, ...] | None = None

    def start(self, vmm: PreloadedVmm | None, wanted: BootedMachine | None = None) -> Channel:
        """A line to a lab host in which no machine has run, with ``vmm`` in its memory if possible.

        With a ``wanted`` machine it is one that was saved with that (``booted``), or one with which
        it can be saved (``save_with``). One that runs here is ended. Raises ``HostLost`` or a kind
        of it, ``UserError``.
        """
        self.to_insert, self.booted = self.kernel.modules, None
        if not self.machine.savable:
            return self._boot()
        if wanted is None:
            return self._ready(vmm)
        with_it = with_machine(self._keys(vmm)[-1], wanted)
        if wanted.use is not Use.MAKE:
            if (channel := self._restore(with_it, self.machines)) is not None:
                self.to_insert, self.booted = (), self.machines.events(with_it)
                return channel
            if wanted.use is Use.NEED:
                raise NotBooted(
                    "the snapshot does not go on here: its files are damaged, or this machine has "
                    "another QEMU, Python or guest init than it was made with",
                    wanted.hint,
                )
        channel = self._ready(vmm, to_save=True)
        self._insert(channel)
        return channel

    def save_with(self, wanted: BootedMachine, vmm: PreloadedVmm | None) -> None:
        """Save it with this machine, which is paused and whose events are ``booted``.

        Raises ``NotSaved``.
        """
        assert self.booted is not None
        if complaints := parse_console(self.instance.console_text()):
            raise NotSaved(f"its kernel had complained ({complaints[0].title})")
        key = with_machine(self._keys(vmm)[-1], wanted)
        self.machines.save(key, self.instance, self.machine, self.booted)

    def _keys(self, vmm: PreloadedVmm | None) -> tuple[str, str, str]:
        """The keys of this lab host without a VMM, with one, and with the kernel's modules too."""
        key = key_of(self.machine, self.kernel.image)
        full = key if vmm is None else with_vmm(key, vmm)
        return key, full, with_modules(full, self.kernel.id) if self.kernel.modules else full

    def _ready(self, vmm: PreloadedVmm | None, *, to_save: bool = False) -> Channel:
        key, full, ready = self._keys(vmm)
        if not self.kernel.modules:
            return self._without_modules(key, full, vmm, to_save=to_save)
        if (channel := self._restore(ready, to_save=to_save)) is not None:
            self.to_insert = ()
            return channel
        again = self._again(ready)
        channel = self._without_modules(key, full, vmm, to_save=again or to_save)
        if again and self._insert(channel):
            self._save(ready)
        return channel

    def _insert(self, channel: Channel) -> bool:
        """Whether the kernel's modules are inserted now, where they can be saved."""
        paths = [str(module) for module in self.to_insert]
        if paths and not self._tell(channel, "insert", modules=paths):
            return False
        self.to_insert = ()
        return True

    def _without_modules(
        self, key: str, full: str, vmm: PreloadedVmm | None, *, to_save: bool = False
    ) -> Channel:
        if (channel := self._restore(full, to_save=to_save)) is not None:
            return channel
        again = to_save or vmm is None or self._again(full)
        channel = None if vmm is None else self._restore(key, to_save=again)
        if channel is not None and not again:
            return channel  # the agent imports the VMM at the first request
        if channel is None:
            channel = self._boot()
            # As long as no VMM is edited, nobody needs one without a VMM.
            if vmm is not None and self.store.has_others(key):
                self._save(key)
        if vmm is None or self._preload(channel, vmm):
            self._save(full)
        return channel

    def _again(self, key: str) -> bool:
        """Whether it was asked for before: a half that was just edited is often run once."""
        return self.store.was_asked(key)

    def connect(self, late: Callable[[], bool]) -> Channel:
        """Raises ``ChannelClosed`` or ``ChannelTimeout``."""
        return Channel.connect(
            self.instance.socket,
            self.instance.heartbeat,
            late=late,
            on_message=self.on_message,
            on_closed=self.on_closed,
        )

    def _restore(
        self, key: str, store: Store | None = None, *, to_save: bool = False
    ) -> Channel | None:
        """None if there is none, or if it does not come back: it is dropped then."""
        store = store or self.store
        saved = store.find(key)
        if saved is None:
            return None
        if not store.unaltered(key):
            self.say("the saved lab host's files were altered or cut short; it is made anew")
            store.drop(key)
            return None
        try:
            channel = self._begin(_RESTORE_S, replace(saved, to_save=to_save))
        except HostLost as lost:
            self.say(f"the saved lab host does not come back, and is made anew: {lost.message}")
            store.drop(key)
            return None
        self.restored = True
        return channel

    def _boot(self) -> Channel:
        self.say("booting the lab host")
        self.restored = False
        return self._begin(self.settings.boot_deadline_s)

    def _save(self, key: str) -> None:
        """A kernel that complains may do so in some boots only: it is booted each time."""
        if parse_console(self.instance.console_text()):
            return
        try:
            self.store.save(key, self.instance, self.machine)
        except NotSaved as why:
            self.say(f"the lab host can't be saved, so that each is booted: {why}")

    def _preload(self, channel: Channel, vmm: PreloadedVmm) -> bool:
        """Whether the agent has imported it; if not, its worker will say why."""
        files = vmm_files(real_python(), vmm)
        return self._tell(
            channel,
            "preload",
            artifact=str(vmm.artifact),
            bundle=str(vmm.bundle),
            files=[word for file in files for word in (str(file.source), file.target)],
        )

    def _tell(self, channel: Channel, op: str, **fields: object) -> bool:
        """Whether the agent has done it; it will be tried again later. Raises ``HostLost``."""
        try:
            channel.request(op, _PRELOAD_S, **fields)
        except (RequestFailed, ChannelTimeout):
            return False
        except ChannelClosed:
            raise self.instance.loss() from None
        return True

    def _begin(self, limit_s: float, saved: SavedState | None = None) -> Channel:
        self.instance.boot(self.machine, self.settings.idle_s + _KEEPER_GRACE_S, saved)
        clock = GivenClock(self.instance.kept())
        try:
            if saved is not None:
                self._go_on(saved, clock, limit_s)
            return self._connect_when_listening(clock, limit_s)
        except ChannelClosed:
            raise self.instance.loss() from None
        except ChannelTimeout:
            raise self._not_up(clock, limit_s) from None

    def _go_on(self, saved: SavedState, clock: GivenClock, limit_s: float) -> None:
        def go_on() -> None:
            try:
                saved_hosts.go_on(self.instance, saved)
            except (ConnectionRefusedError, FileNotFoundError) as failed:
                raise NotListening(str(failed)) from failed
            except (OSError, ValueError) as failed:
                raise ChannelClosed(str(failed)) from failed

        self._when_listening(go_on, _late(clock, limit_s))

    def _connect_when_listening(self, clock: GivenClock, limit_s: float) -> Channel:
        late = _late(clock, limit_s)
        return self._when_listening(lambda: self.connect(late), late)

    def _when_listening(self, begin: Callable[[], T], late: Callable[[], bool]) -> T:
        """QEMU takes a moment to make its sockets, and another to listen on them."""
        while True:
            try:
                return begin()
            except NotListening:
                if not self.instance.running:
                    raise
                if late():
                    raise ChannelTimeout("QEMU made no socket") from None
            time.sleep(_LOOK_S)

    def _not_up(self, clock: GivenClock, limit_s: float) -> HostLost:
        """End a boot that took too long; not the kernel's fault if this computer did not run it."""
        console = self.instance.console_text()
        self.instance.discard()
        if clock.given_s >= limit_s:
            return HostHung(f"the lab host did not come up within {limit_s:g} s", console=console)
        return HostLost(
            f"the lab host did not come up: for {clock.kept_s:.0f} s this computer did not run it",
            "try again when less runs here",
            console=console,
        )


def _late(clock: GivenClock, limit_s: float) -> Callable[[], bool]:
    """A function that says whether the limit was reached or is hopeless; call it often."""
    span = Span(clock)

    def late() -> bool:
        clock.look()
        return span.over(limit_s)

    return late
