# SPDX-License-Identifier: GPL-2.0-only
"""The host a run asked for, or the one this machine is good for.

A lab host runs the kernel under test. One that does not come up is first suspected,
not blamed: ``Stand`` tells whose kernel the lab host runs, and what became of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvm.host.base import Host, HostHung, HostLost, HostPanic
from kvm.host.choose import HostKind, ProbeResult, choose, kvm_probe, lab_accelerator
from kvm.host.instance import MAIN_SLOT
from kvm.host.lab import LabHost
from kvm.host.lab_machine import LabSettings
from kvm.host.native import NativeHost
from kvm.project import Project
from kvm.run import proven
from kvm.run.halves import Halves

Say = Callable[[str], None]

# A kernel that takes this many times as long as the proven one did is examined as a guest;
# should it only have been slow, that costs a few seconds and no wrong verdict.
_SUSPICIOUS = 3.0
_QUICK_MIN_S = 4.0
_QUICK_MAX_S = 6.0
_PATIENT_S = 120.0
# A matrix worker ends its lab host itself; should it be killed, nothing stays for long.
_WORKER_IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Stand:
    """A host, and how the kernel under test failed to be the host itself (None: it is)."""

    host: Host
    suspected: HostLost | None = None


@dataclass(slots=True)
class Memory:
    """What a command that boots many machines has learned about hosts, by kernel id.

    A kernel that did not come up as lab host is not waited for again: ``suspects`` failed
    the quick try, ``down`` the patient one too.
    """

    suspects: dict[str, HostLost] = field(default_factory=dict)
    down: dict[str, HostLost] = field(default_factory=dict)
    probed: ProbeResult | None = None


class KernelNotUp(Exception):
    """The kernel under test did not come up as lab host, and no other is there to examine it."""

    def __init__(self, lost: HostLost) -> None:
        super().__init__(str(lost))
        self.lost = lost


def connect(
    project: Project,
    requested: str,
    halves: Halves,
    say: Say,
    *,
    prefetch: tuple[Path, ...] = (),
    images: tuple[Path, ...] = (),
    patient: bool = False,
    slot: str = MAIN_SLOT,
    memory: Memory | None = None,
    cpus: int | None = None,
    devices: tuple[str, ...] = (),
    uplink: bool = False,
) -> Stand:
    """Choose and open a host; boots the lab host when none of this kernel is running.

    The kernel of ``halves`` is the lab host's. ``prefetch`` names files that its machines
    will want first, ``images`` the disks that they write. ``patient`` waits as long as it
    takes, and does not let another kernel stand in. ``cpus`` are a lab host's, as are
    ``devices`` to give its machines, and an ``uplink``. Raises ``KernelNotUp``.
    """
    memory = memory or Memory()

    def probe() -> ProbeResult:
        if memory.probed is None:
            say("probing /dev/kvm")
            memory.probed = kvm_probe(halves.vmm.folder, project.cache)
        return memory.probed

    choice = choose(requested, probe)
    say(f"{choice.kind.value}: {choice.why}")
    if choice.kind is HostKind.NATIVE:
        return Stand(NativeHost())
    # A whole PC takes longer, and what it is for the proven kernel may not have.
    good = None if patient or devices else proven.load(project)
    settings = LabSettings(
        accelerator=lab_accelerator(probe), cpus=cpus or LabSettings().cpus, devices=devices
    )
    opener = _Opener(project, halves.vmm.folder, settings, prefetch, images, uplink, slot, say)
    kernel = halves.kernel
    if good is None or good.kernel_id == kernel.id:
        if kernel.id in memory.down:
            raise KernelNotUp(memory.down[kernel.id])
        try:
            return Stand(opener.open(kernel.vmlinux, kernel.id, _PATIENT_S))
        except KernelNotUp as failed:
            memory.down[kernel.id] = failed.lost
            raise
    if kernel.id not in memory.suspects:
        quick_s = min(max(_QUICK_MIN_S, _SUSPICIOUS * good.boot_s), _QUICK_MAX_S)
        try:
            return Stand(opener.open(kernel.vmlinux, kernel.id, quick_s))
        except KernelNotUp as failed:
            memory.suspects[kernel.id] = failed.lost
    say("the kernel does not come up as lab host; trying it as a guest of the last good one")
    stand_in = opener.open(good.vmlinux, good.kernel_id, _PATIENT_S)
    return Stand(stand_in, suspected=memory.suspects[kernel.id])


@dataclass(frozen=True, slots=True)
class _Opener:
    project: Project
    artifact: Path
    settings: LabSettings
    prefetch: tuple[Path, ...]
    images: tuple[Path, ...]
    uplink: bool
    slot: str
    say: Say

    def open(self, vmlinux: Path, kernel_id: str, deadline_s: float) -> LabHost:
        settings = replace(self.settings, boot_deadline_s=deadline_s)
        if self.slot != MAIN_SLOT:
            settings = replace(settings, idle_s=_WORKER_IDLE_S)
        try:
            return LabHost(
                self.project,
                vmlinux,
                kernel_id,
                artifact=self.artifact,
                prefetch=self.prefetch,
                images=self.images,
                uplink=self.uplink,
                settings=settings,
                slot=self.slot,
                say=self.say,
            )
        except (HostPanic, HostHung) as lost:
            raise KernelNotUp(lost) from lost
