# SPDX-License-Identifier: GPL-2.0-only
"""From a user's settings to the machine of a lab host, with QEMU's part of it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from kvm.guest.initramfs import build_initramfs
from kvm.host import bundle
from kvm.host.qemu import (
    Accelerator,
    LabMachine,
    config_hz,
    spared_cpus,
)
from kvm.host.tsc import tsc_khz
from kvm.project import Project


@dataclass(frozen=True, slots=True)
class LabSettings:
    """The user's choices for lab hosts. ``cpus`` are those on which processes run."""

    memory_mib: int = 2048
    cpus: int = 2
    accelerator: Accelerator = Accelerator.TCG
    idle_s: float = 600.0
    boot_deadline_s: float = 120.0
    devices: tuple[str, ...] = ()


def lab_machine(
    project: Project,
    kernel: Path,
    settings: LabSettings,
    plan: Path,
    folders: tuple[Path, ...],
) -> LabMachine:
    """The machine for QEMU; ``plan`` is the agent's, ``folders`` are those it may write to."""
    spared = spared_cpus(settings.accelerator, settings.cpus)
    argv = _agent_argv(project, settings.idle_s, plan, spared)
    machine = LabMachine(
        kernel=kernel,
        initrd=build_initramfs(project, agent_argv=argv),
        share=project.build,
        exports=folders,
        accelerator=settings.accelerator,
        cpus=settings.cpus,
        memory_mib=settings.memory_mib,
        tsc_khz=tsc_khz(project.cache) if settings.accelerator is Accelerator.TCG else None,
        hz=config_hz(kernel),
        devices=settings.devices,
    )
    machine.validate()
    return machine


def _agent_argv(project: Project, idle_s: float, plan: Path, spared: int) -> tuple[str, ...]:
    """Uses the real interpreter, not a virtual environment's link: fewer files to find."""
    here = Path(__file__).resolve().parent
    # The second is read as a script; it is in the bundle so that it counts in the bundle's name.
    modules = ("kvm.host.inside.agent", "kvm.host.inside.launch")
    agent_bundle = bundle.make_bundle(project.cache, modules, here.parents[1])
    python = os.path.realpath(sys.executable)
    words = (python, "-I", "-S", here / "inside" / "launch.py", agent_bundle, idle_s, plan, spared)
    return tuple(str(word) for word in words)
