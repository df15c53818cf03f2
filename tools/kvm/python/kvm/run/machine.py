# SPDX-License-Identifier: GPL-2.0-only
"""From options and built halves to the machine that is booted: its command line and its disks."""

from __future__ import annotations

from pathlib import Path

from kvm.errors import UserError
from kvm.kernel.build import Kernel
from kvm.run.conduct import Conduct
from kvm.run.network import guest_words, parse_nets, parse_vsock
from kvm.run.options import BootOptions
from kvm.verdict.symbols import SystemMap
from kvm.vm.spec import DiskSpec, MachineSpec

# Reset through port 0xcf9, which polls nothing, and at once after a panic.
_ALWAYS = "reboot=p panic=-1"
# The in-tree kernel's debug port costs no exit; ttynull keeps the console off every device.
_IN_TREE = "earlyprintk=debugport,keep console=ttynull 8250.nr_uarts=1"
# A stock kernel knows only the UARTs: one for its console, one for the agent. ACPI tells it that
# there is no keyboard. QEMU 7.2 may run code it translated for another address of the same page,
# which KASLR makes likely: without nokaslr one boot in five or so went astray in a lab host.
_STOCK = "earlyprintk=ttyS0 console=ttyS0 8250.nr_uarts=2 nokaslr"
# That there is no PCI a kernel would find out by searching.
_NO_PCI = "pci=off"

_DISK_MODES = ("ro", "rw", "volatile")


def command_line(options: BootOptions) -> str:
    """The kernel command line, before the VMM adds its devices. The user's words come last."""
    console = _IN_TREE if options.kernel is None else _STOCK
    bus = _NO_PCI if options.transport == "mmio" else ""
    words = (_ALWAYS, console, bus, guest_words(parse_nets(options.nets)), options.append)
    return " ".join(word for word in words if word)


def parse_disk(text: str) -> DiskSpec:
    """``PATH``, ``PATH,ro``, ``PATH,rw`` or ``PATH,volatile``."""
    path, _, mode = text.partition(",")
    modes = f"write PATH or one of {', '.join(f'PATH,{known}' for known in _DISK_MODES)}"
    if "," in mode:
        raise UserError(f"--disk {text}: modes can't be combined, as in {mode!r}", modes)
    if mode and mode not in _DISK_MODES:
        raise UserError(f"--disk {text}: unknown mode {mode!r}", modes)
    return DiskSpec(path=Path(path).absolute(), read_only=mode == "ro", volatile=mode == "volatile")


def machine_spec(
    options: BootOptions, kernel: Kernel | None, initrd: Path, conduct: Conduct | None = None
) -> MachineSpec:
    """The machine to boot; errors name the value at fault."""
    if options.kernel is None:
        assert kernel is not None
        image = kernel.vmlinux
        log_buf = SystemMap(kernel.system_map).log_buf()
    else:
        image, log_buf = options.kernel.absolute(), None
    spec = MachineSpec(
        kernel=image,
        initrd=(options.initrd or initrd).absolute(),
        cmdline=command_line(options),
        vcpus=options.cpus,
        memory_mib=options.memory_mib,
        disks=tuple(parse_disk(disk) for disk in options.disks),
        nets=tuple(net.spec for net in parse_nets(options.nets)),
        vsock=parse_vsock(options.vsock) if options.vsock else None,
        rng=conduct.rng if conduct is not None else True,
        guest_events=options.events,
        transport=options.transport,
        ring=options.ring,
        log_buf=log_buf,
        protocol=options.protocol,
        cpu=options.cpu,
        hugepages=options.hugepages,
        split_irqchip=options.split_irqchip,
    )
    spec.validate()
    return spec
