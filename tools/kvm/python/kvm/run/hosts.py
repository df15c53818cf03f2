# SPDX-License-Identifier: GPL-2.0-only
"""The host a run asked for, or the one this machine is good for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from kvm.host.base import Host
from kvm.host.choose import HostKind, ProbeResult, choose, kvm_probe, lab_accelerator
from kvm.host.lab import LabHost, LabSettings
from kvm.host.native import NativeHost
from kvm.project import Project
from kvm.run.halves import Halves


def connect(
    project: Project,
    requested: str,
    halves: Halves,
    say: Callable[[str], None],
    prefetch: tuple[Path, ...] = (),
) -> Host:
    """Choose and open a host; boots the lab host when none of this kernel is running.

    ``prefetch`` names files that its machines will want first.
    """

    @cache
    def probe() -> ProbeResult:
        say("probing /dev/kvm")
        return kvm_probe(halves.vmm.folder, project.cache)

    choice = choose(requested, probe)
    say(f"{choice.kind.value}: {choice.why}")
    if choice.kind is HostKind.NATIVE:
        return NativeHost()
    return LabHost(
        project,
        halves.kernel.vmlinux,
        halves.kernel.id,
        artifact=halves.vmm.folder,
        prefetch=prefetch,
        settings=LabSettings(accelerator=lab_accelerator(probe)),
        say=say,
    )
