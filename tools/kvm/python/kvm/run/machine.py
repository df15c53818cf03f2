# SPDX-License-Identifier: GPL-2.0-only
"""From options and built halves to the machine that is booted: its command line and its disks."""

from __future__ import annotations

import os
from pathlib import Path

from kvm.errors import UserError
from kvm.kernel.build import Kernel
from kvm.run import words
from kvm.run.conduct import Conduct
from kvm.run.network import guest_words, parse_nets, parse_vsock
from kvm.run.options import BootOptions, parse_display
from kvm.verdict.symbols import SystemMap
from kvm.vm.spec import DISK_FORMATS, DiskSpec, MachineSpec, ShareSpec

# Reset through port 0xcf9, which polls nothing, and at once after a panic.
_ALWAYS = "reboot=p panic=-1"
# The in-tree kernel's debug port costs no exit; ttynull keeps the console off every device.
_IN_TREE = "earlyprintk=debugport,keep console=ttynull"
# A stock kernel knows only the UARTs: one for its console, one for the agent. ACPI tells it that
# there is no keyboard. Without KASLR what it reports are the addresses of its System.map.
_STOCK = "earlyprintk=ttyS0 console=ttyS0 nokaslr"
# Where the user has the console's line, all of the console is there, and only once.
_USER_S = "earlyprintk=ttyS0 console=ttyS0"
# That there is no PCI a kernel would find out by searching.
_NO_PCI = "pci=off"

_DISK_MODES = ("ro", "rw", "volatile")
_BACKING = "backing="
_ROOT_TAG = "root"


def command_line(options: BootOptions, *, debug_port: bool = True) -> str:
    """The kernel command line, before the VMM adds its devices. The user's words come last.

    ``debug_port``: whether a kernel that was built here has a console on the debug port.
    """
    console = _STOCK
    if options.kernel is None:
        console = _IN_TREE if debug_port and 0 not in options.ttys else _USER_S
    # A port that the kernel need not look for costs no exits.
    lines = max(2 if options.kernel else 1, *(number + 1 for number in (0, *options.ttys)))
    bus = _NO_PCI if options.transport == "mmio" else ""
    nets = guest_words(parse_nets(options.nets))
    root = f"toolskvm.root={_ROOT_TAG}" if options.root else ""
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
    """What our init is to find in the guest, or tell of: see ``tools/kvm/guest/wants.c``.

    Shares and the root are proved by mounting them.
    """
    counts = {
        "disk": len(options.disks),
        "net": len(options.nets),
        "vsock": int(bool(options.vsock)),
        "balloon": int(options.balloon >= 0),
        "pci": len(options.vfio_pci),
        "input": 2 * bool(options.vnc),  # a keyboard and a pointer
        "display": int(bool(options.vnc)),
    }
    kinds = [f"{kind}:{count}" for kind, count in counts.items() if count]
    kinds += [f"tty:{number}" for number in options.ttys]
    return f"toolskvm.wants={','.join([options.transport, *kinds])}" if kinds else ""


def environment_in_guest(options: BootOptions) -> dict[str, str]:
    """What a command learns of its caller in a guest that has our root: the folder to start in.

    The guest's root acts for a user there, as under sudo: git takes that user's files for its own.
    """
    if not options.root:
        return {}
    root, here, user = Path(options.root).resolve(), Path.cwd(), os.getuid()
    known = {"SUDO_UID": str(user)} if user else {}
    if here.is_relative_to(root):
        known["PWD"] = str(Path("/") / here.relative_to(root))
    return known


def _share_words(options: BootOptions) -> str:
    """What our init is to mount."""
    shares = [parse_share(share) for share in options.shares]
    names = ",".join(share.tag + (":ro" if share.read_only else "") for share in shares)
    return f"toolskvm.shares={names}" if names else ""


def parse_disk(text: str) -> DiskSpec:
    """``PATH`` and, each after a comma, a mode, a format and ``direct``, each at most once, and
    any number of ``backing=PATH``.

    An image is qcow2 if its name says so: what is in it may be a guest's.
    """
    path, *rest = words.split(text)
    mend = (
        f"write PATH, then [,{'|'.join(_DISK_MODES)}][,{'|'.join(DISK_FORMATS)}][,direct]"
        "[,backing=PATH]; a comma in a path is \\,"
    )
    modes = [word for word in rest if word in _DISK_MODES]
    formats = [word for word in rest if word in DISK_FORMATS]
    direct = rest.count("direct")
    backing = [word.removeprefix(_BACKING) for word in rest if word.startswith(_BACKING)]
    for word in rest:
        if word not in (*_DISK_MODES, *DISK_FORMATS, "direct") and not word.startswith(_BACKING):
            raise UserError(f"--disk {text}: unknown mode {word!r}", mend)
    if "" in backing:
        raise UserError(f"--disk {text}: backing= names nothing", mend)
    if len(modes) > 1 or len(formats) > 1 or direct > 1:
        clash = next(kind for kind in (modes, formats, ["direct"] * direct) if len(kind) > 1)
        raise UserError(f"--disk {text}: modes can't be combined, as in {','.join(clash)!r}", mend)
    return DiskSpec(
        path=Path(path).absolute(),
        read_only=modes == ["ro"],
        volatile=modes == ["volatile"],
        format=formats[0] if formats else _format_by_name(path),
        direct=bool(direct),
        format_said=bool(formats),
        backing=tuple(Path(place).absolute() for place in backing),
    )


def disk_words(disk: DiskSpec) -> str:
    """What ``parse_disk`` reads as this disk."""
    mode = "ro" if disk.read_only else "volatile" if disk.volatile else ""
    said = disk.format_said or disk.format != _format_by_name(str(disk.path))
    given = [mode, disk.format if said else "", "direct" if disk.direct else ""]
    places = [f"{_BACKING}{place}" for place in disk.backing]
    return words.join([str(disk.path), *filter(None, given), *places])


def _format_by_name(path: str) -> str:
    return "qcow2" if path.endswith(".qcow2") else "raw"


def _parse_disks(texts: tuple[str, ...]) -> tuple[DiskSpec, ...]:
    """All disks; an image that is given twice has readers only.

    The VMM's own claim on an image (``flock``) is not seen through a lab host's 9p.
    """
    disks = tuple(map(parse_disk, texts))
    for number, later in enumerate(disks):
        for earlier in disks[:number]:
            if _is_one_file(earlier.path, later.path) and not (
                earlier.read_only and later.read_only
            ):
                raise UserError(
                    f"--disk {later.path} is the same file as --disk {earlier.path}",
                    "give each disk a file of its own, or attach this one with ,ro both times",
                )
    return disks


def _is_one_file(one: Path, other: Path) -> bool:
    """False for what is not there or not to be looked at: the VMM tells of it."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def parse_share(text: str) -> ShareSpec:
    """``PATH``, ``PATH,ro``, ``PATH,tag=NAME`` or both; the tag is the folder's name otherwise."""
    path, *rest = words.split(text)
    folder = Path(path).absolute()
    tag, read_only = folder.name, False
    for word in rest:
        if word in ("ro", "rw"):
            read_only = word == "ro"
        elif word.startswith("tag="):
            tag = word.removeprefix("tag=")
        else:
            raise UserError(f"--share {text}: unknown word {word!r}", "write PATH[,ro][,tag=NAME]")
    return ShareSpec(folder, tag, read_only)


def share_words(share: ShareSpec) -> str:
    """What ``parse_share`` reads as this share."""
    mode = ["ro"] if share.read_only else []
    return words.join([str(share.path), f"tag={share.tag}", *mode])


def _shares(options: BootOptions) -> tuple[ShareSpec, ...]:
    """Those asked for, and the root: read-only, as the guest's writes go to an overlay."""
    shares = tuple(parse_share(share) for share in options.shares)
    if not options.root:
        return shares
    return (*shares, ShareSpec(Path(options.root).absolute(), _ROOT_TAG, read_only=True))


def check(options: BootOptions) -> None:
    """Raise ``UserError`` for disks, shares and the like that could not be had, before a build."""
    devices = MachineSpec(
        kernel=Path("/"),
        initrd=None,
        cmdline="",
        memory_mib=options.memory_mib,
        disks=tuple(parse_disk(disk) for disk in options.disks),
        shares=_shares(options),
        balloon_mib=options.balloon if options.balloon >= 0 else None,
    )
    devices.validate_devices()


def machine_spec(
    options: BootOptions, kernel: Kernel | None, initrd: Path, conduct: Conduct | None = None
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
    spec = MachineSpec(
        kernel=image,
        initrd=(options.initrd or initrd).absolute(),
        cmdline=command_line(options, debug_port=debug_port),
        vcpus=options.cpus,
        memory_mib=options.memory_mib,
        disks=_parse_disks(options.disks),
        nets=tuple(net.spec for net in parse_nets(options.nets)),
        vsock=parse_vsock(options.vsock) if options.vsock else None,
        shares=_shares(options),
        balloon_mib=options.balloon if options.balloon >= 0 else None,
        rng=conduct.rng if conduct is not None else True,
        guest_events=options.events,
        transport=options.transport,
        ring=options.ring,
        log_buf=log_buf,
        protocol=options.protocol,
        cpu=options.cpu,
        hugepages=options.hugepages,
        split_irqchip=options.split_irqchip,
        kvm_device=options.kvm_device,
        vfio_pci=options.vfio_pci,
        ttys=options.ttys,
        display=parse_display(options.display) if options.vnc else None,
    )
    spec.validate()
    return spec
