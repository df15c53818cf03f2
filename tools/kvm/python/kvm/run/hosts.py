# SPDX-License-Identifier: GPL-2.0-only
"""Chooses the host that a run asked for, or the best one that this machine offers.

A lab host runs the kernel under test. A kernel that does not come up is first suspected, not
blamed: ``Connected`` says whose kernel the lab host runs, and how ours failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kvm.host.base import Host, HostHung, HostLost, HostPanic
from kvm.host.choose import HostKind, ProbeResult, choose, kvm_probe, lab_accelerator
from kvm.host.instance import MAIN_SLOT
from kvm.host.kernel import HostKernel
from kvm.host.lab import LabHost, LabNeeds
from kvm.host.lab_machine import LabSettings
from kvm.host.native import NativeHost
from kvm.host.qemu import Accelerator
from kvm.host.snapshot import BootedMachine
from kvm.kernel.build import Kernel
from kvm.project import Project
from kvm.run import proven
from kvm.run.halves import Halves
from kvm.say import Say

# A kernel that takes this many times as long as the proven one is examined as a guest. If it was
# only slow, that costs a few seconds and no wrong verdict.
_SUSPICIOUS = 3.0
_QUICK_MIN_S = 4.0
_QUICK_MAX_S = 6.0
_PATIENT_S = 120.0
# A matrix worker ends its lab host itself; if it is killed, the host soon ends when idle.
_WORKER_IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Connected:
    """A host, and how the kernel under test failed to come up as one (None: it did come up)."""

    host: Host
    suspected: HostLost | None = None


@dataclass(slots=True)
class HostNotes:
    """What a command that boots many machines has learned about its hosts, by kernel id.

    A kernel that did not come up as lab host is not waited for again: ``suspects`` failed
    the quick try, ``down`` the patient one as well.
    """

    suspects: dict[str, HostLost] = field(default_factory=dict)
    down: dict[str, HostLost] = field(default_factory=dict)
    probed: ProbeResult | None = None


class KernelNotUp(Exception):
    """The kernel under test did not come up as lab host, and there is no other to examine it on."""

    def __init__(self, lost: HostLost) -> None:
        super().__init__(str(lost))
        self.lost = lost


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requirements of a run for its host.

    ``kind`` is auto, native or lab. ``prefetch`` names files that the machines will read first,
    ``images`` the disks that they write. ``cpus`` (None: the default), ``devices`` to assign to its
    machines, ``uplink``, and a ``machine`` to go on from are for a lab host.

    ``runs_linux``: the machines boot Linux, so a KVM that cannot do that is refused, and the last
    good kernel may stand in as lab host while the one under test is examined as a guest. Other
    programs test the lab host's kernel itself, so no kernel may stand in for it.
    """

    kind: str
    prefetch: tuple[Path, ...] = ()
    images: tuple[Path, ...] = ()
    slot: str = MAIN_SLOT
    cpus: int | None = None
    devices: tuple[str, ...] = ()
    uplink: bool = False
    runs_linux: bool = True
    machine: BootedMachine | None = None


def connect(
    project: Project,
    wanted: Wanted,
    halves: Halves,
    say: Say,
    *,
    patient: bool = False,
    notes: HostNotes | None = None,
) -> Connected:
    """Choose and open a host; boot the lab host if none with this kernel is running.

    The lab host's kernel is that of ``halves``. ``patient`` waits as long as it takes and allows no
    stand-in. Raises ``KernelNotUp``.
    """
    notes = notes or HostNotes()

    def probe() -> ProbeResult:
        if notes.probed is None:
            say("probing /dev/kvm")
            notes.probed = kvm_probe(halves.vmm.folder, project.cache)
        return notes.probed

    if wanted.kind == HostKind.NATIVE.value and not wanted.runs_linux:
        return Connected(NativeHost())
    choice = choose(wanted.kind, probe)
    say(f"{choice.kind.value}: {choice.why}")
    if choice.kind is HostKind.NATIVE:
        return Connected(NativeHost())
    # With devices, a whole PC boots: it takes longer, and the proven kernel may lack its drivers.
    alone = patient or wanted.devices or not wanted.runs_linux
    good = None if alone else proven.load(project)
    opener = _Opener(project, halves.vmm.folder, wanted, lab_accelerator(probe), say)
    kernel = halves.kernel
    if good is None or good.kernel.id == kernel.id:
        if kernel.id in notes.down:
            raise KernelNotUp(notes.down[kernel.id])
        try:
            return Connected(opener.open(kernel, _PATIENT_S))
        except KernelNotUp as failed:
            notes.down[kernel.id] = failed.lost
            raise
    if kernel.id not in notes.suspects:
        quick_s = min(max(_QUICK_MIN_S, _SUSPICIOUS * good.boot_s), _QUICK_MAX_S)
        try:
            return Connected(opener.open(kernel, quick_s))
        except KernelNotUp as failed:
            notes.suspects[kernel.id] = failed.lost
    say("the kernel does not come up as lab host; trying it as a guest of the last good one")
    stand_in = replace(opener, wanted=replace(wanted, machine=None)).open(good.kernel, _PATIENT_S)
    return Connected(stand_in, suspected=notes.suspects[kernel.id])


def as_host(kernel: Kernel) -> HostKernel:
    """What a lab host needs of a built kernel."""
    return HostKernel(kernel.vmlinux, kernel.id, kernel.image, kernel.modules)


@dataclass(frozen=True, slots=True)
class _Opener:
    project: Project
    artifact: Path
    wanted: Wanted
    accelerator: Accelerator
    say: Say

    def open(self, kernel: Kernel, deadline_s: float) -> LabHost:
        wanted, usual = self.wanted, LabSettings()
        settings = LabSettings(
            accelerator=self.accelerator,
            cpus=wanted.cpus or usual.cpus,
            devices=wanted.devices,
            boot_deadline_s=deadline_s,
            idle_s=usual.idle_s if wanted.slot == MAIN_SLOT else _WORKER_IDLE_S,
        )
        try:
            return LabHost(
                self.project,
                as_host(kernel),
                LabNeeds(
                    self.artifact, wanted.prefetch, wanted.images, wanted.uplink, wanted.machine
                ),
                settings=settings,
                slot=wanted.slot,
                say=self.say,
            )
        except (HostPanic, HostHung) as lost:
            raise KernelNotUp(lost) from lost
