# SPDX-License-Identifier: GPL-2.0-only
"""Builds the machine of a boot from options and built halves: command line and disks."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from kvm.kernel.build import Kernel
from kvm.run.extras import RunExtras
from kvm.run.options import BootOptions
from kvm.spec.machine import Hardware, MachineSpec
from kvm.spec.network import guest_words
from kvm.verdict.symbols import SystemMap

# Reset through port 0xcf9, which polls nothing, and at once after a panic.
_ALWAYS = "reboot=p panic=-1"
# The in-tree kernel's debug port costs no exit; ttynull keeps the console off every device.
DEBUG_PORT = "earlyprintk=debugport,keep"
_IN_TREE = f"{DEBUG_PORT} console=ttynull"
# A stock kernel knows only the UARTs: one for its console, one for the agent. ACPI says that
# there is no keyboard. Without KASLR the addresses it reports are those of its System.map.
_STOCK = "earlyprintk=ttyS0 console=ttyS0 nokaslr"
# If the user has the console's line, it carries the whole console, once.
_CONSOLE_OF_USER = "earlyprintk=ttyS0 console=ttyS0"
# Saves the kernel from searching for PCI.
_NO_PCI = "pci=off"


def command_line(options: BootOptions, *, debug_port: bool = True) -> str:
    """The kernel command line, before the VMM adds its devices. The user's words come last.

    ``debug_port``: whether a kernel built here has a console on the debug port.
    """
    console = _STOCK
    if options.kernel is None:
        console = _IN_TREE if debug_port and 0 not in options.ttys else _CONSOLE_OF_USER
    # A port that the kernel does not probe costs no exits.
    lines = max(2 if options.kernel else 1, *(number + 1 for number in (0, *options.ttys)))
    bus = _NO_PCI if options.transport == "mmio" else ""
    nets = guest_words(options.nets)
    root = f"toolskvm.root={options.root_share().tag}" if options.root else ""
    parts = (
        _ALWAYS,
        console,
        f"8250.nr_uarts={lines}",
        bus,
        nets,
        _share_words(options),
        _wanted_words(options),
        root,
        options.append,
    )
    return " ".join(part for part in parts if part)


def _wanted_words(options: BootOptions) -> str:
    """The devices that our init should find in the guest: see ``tools/kvm/guest/wants.c``.

    Shares and the root are checked by mounting them.
    """
    counts = {
        "disk": len(options.disks),
        "net": len(options.nets),
        "vsock": int(bool(options.vsock)),
        "balloon": int(options.balloon_mib is not None),
        "pci": len(options.vfio_pci),
        "input": 2 * bool(options.vnc),  # a keyboard and a pointer
        "display": int(bool(options.vnc)),
    }
    kinds = [f"{kind}:{count}" for kind, count in counts.items() if count]
    kinds += [f"tty:{number}" for number in options.ttys]
    return f"toolskvm.wants={','.join([options.transport, *kinds])}" if kinds else ""


def environment_in_guest(options: BootOptions) -> dict[str, str]:
    """The caller's environment for a command in a guest with our root: the folder to start in.

    The guest's root acts for a user, as under sudo, so git accepts that user's files.
    """
    if not options.root:
        return {}
    root, here, user = Path(options.root).resolve(), Path.cwd(), os.getuid()
    known = {"SUDO_UID": str(user)} if user else {}
    if here.is_relative_to(root):
        known["PWD"] = str(Path("/") / here.relative_to(root))
    return known


def _share_words(options: BootOptions) -> str:
    """The shares that our init should mount."""
    names = ",".join(share.tag + (":ro" if share.read_only else "") for share in options.shares)
    return f"toolskvm.shares={names}" if names else ""


def hardware_of(options: object) -> dict[str, Any]:
    """The machine's part of a command's options: the fields that ``Hardware`` also has."""
    names = (one.name for one in fields(Hardware))
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def machine_spec(
    options: BootOptions, kernel: Kernel | None, initrd: Path, extras: RunExtras | None = None
) -> MachineSpec:
    """The machine to boot; errors name the value at fault."""
    debug_port = True
    if options.kernel is None:
        assert kernel is not None
        image = kernel.vmlinux
        log_buf = SystemMap(kernel.system_map).log_buf()
        debug_port = kernel.has_debug_port
    else:
        image, log_buf = options.kernel.absolute(), None
    chosen = hardware_of(options)
    if options.root:
        chosen["shares"] = (*options.shares, options.root_share())
    if not options.vnc:
        chosen["display"] = None
    spec = MachineSpec(
        image,
        (options.initrd or initrd).absolute(),
        command_line(options, debug_port=debug_port),
        rng=extras.rng if extras is not None else True,
        rewindable=extras is not None and extras.rewindable,
        log_buf=log_buf,
        **chosen,
    )
    spec.check()
    return spec
