# SPDX-License-Identifier: GPL-2.0-only
"""Builds the machine of a payload from its options: command line and module. Pure.

The conventions are those of kvm-unit-tests: the command line begins with the program's name,
unless the environment says that a boot loader removed it, and the module has lines ``KEY=VALUE``.
"""

from __future__ import annotations

from pathlib import Path

from kvm.run.machine import hardware_of
from kvm.run.payload.options import PayloadOptions
from kvm.spec.machine import MachineSpec

_NAMELESS = "BOOTLOADER=1"


def environment(options: PayloadOptions) -> str:
    """The payload's environment when no module is given. Since it has the number of processors
    and the size of memory, the payload does not look for QEMU's fw_cfg."""
    return f"NR_CPUS={options.vcpus}\nMEMSIZE={options.memory_mib}\nTEST_DEVICE=1\n"


def command_line(options: PayloadOptions, given: str) -> str:
    """The command line; ``given`` is the module's text."""
    name = "" if _NAMELESS in given.split() else options.file.name
    return f"{name} {options.append}".strip()


def payload_spec(options: PayloadOptions, module: Path, given: str) -> MachineSpec:
    """The machine, with ``module`` in a file that its host sees; errors name the value at fault."""
    spec = MachineSpec(
        options.file.absolute(),
        module.absolute(),
        command_line(options, given),
        rng=False,
        guest_events="none",
        payload=True,
        **hardware_of(options),
    )
    spec.check()
    return spec
