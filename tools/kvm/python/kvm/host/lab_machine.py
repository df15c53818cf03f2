# SPDX-License-Identifier: GPL-2.0-only
"""From a user's settings to the machine of a lab host, with QEMU's part of it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.guest.initramfs import build_initramfs
from kvm.host import bundle
from kvm.host.agent_files import PreloadedVmm, agent_files
from kvm.host.qemu import (
    Accelerator,
    LabMachine,
    config_hz,
    spared_cpus,
)
from kvm.host.tsc import tsc_khz
from kvm.project import Project

# One that ends with its command is used by nobody once that was killed.
_FORGOTTEN_S = 30.0


@dataclass(frozen=True, slots=True)
class LabSettings:
    """The user's choices for lab hosts. ``cpus`` are those on which processes run.

    ``idle_s``: how long one that is kept waits for the next command.
    """

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
    vmm: PreloadedVmm | None,
) -> LabMachine:
    """The machine for QEMU, without exports and uplink; ``vmm`` is the one that it will run."""
    spared = spared_cpus(settings.accelerator, settings.cpus)
    here = Path(__file__).resolve().parent
    # The second is read as a script; it is in the bundle so that it counts in the bundle's name.
    modules = ("kvm.host.inside.agent", "kvm.host.inside.launch")
    agent_bundle = bundle.make_bundle(project.cache, modules, here.parents[1])
    python, script = real_python(), here / "inside" / "launch.py"
    machine = LabMachine(
        kernel=kernel,
        initrd=Path(),
        share=project.build,
        accelerator=settings.accelerator,
        cpus=settings.cpus,
        memory_mib=settings.memory_mib,
        tsc_khz=tsc_khz(project.cache) if settings.accelerator is Accelerator.TCG else None,
        hz=config_hz(kernel),
        devices=settings.devices,
    )
    machine.validate()
    idle_s = min(settings.idle_s, _FORGOTTEN_S) if machine.savable else settings.idle_s
    words = (python, "-I", "-S", script, agent_bundle, idle_s, spared)
    files = agent_files(python, script, agent_bundle, vmm)
    initrd = build_initramfs(project, files=files, agent_argv=tuple(map(str, words)))
    return replace(machine, initrd=initrd)


def real_python() -> Path:
    """The interpreter itself, not a virtual environment's link: fewer files to find."""
    return Path(os.path.realpath(sys.executable))
