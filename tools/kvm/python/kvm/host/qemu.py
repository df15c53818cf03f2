# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU command of a lab host, and the command line of the kernel in it.

It is a microvm without ACPI: QEMU then names the virtio devices on the kernel's command line,
and the kernel has little else to look for. It boots the ELF image by PVH. Only a lab host with
PCI devices to assign is a whole PC, whose ACPI describes the IOMMU in front of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from kvm import process
from kvm.errors import UserError
from kvm.host import forwards

BINARY = "qemu-system-x86_64"
PORT_NAME = "org.toolskvm.lab"
# Where a lab host mounts what it does not cache: all of this machine's files, read-only, and the
# folders for disks (``exports.py``). It is below its /proc, where no guest's share can lead (see
# ``ninep/file_system.hpp``), because these files include QEMU's own /proc/self.
_MOUNTS = Path("/proc/fs")
_FILES_TAG = "files"
# The uplink's network: TEST-NET-2 (RFC 5737) is unused, so it hides no network.
UPLINK = "198.51.100.0/24"
UPLINK_SELF, _UPLINK_GATEWAY, _UPLINK_NAMES = "198.51.100.15", "198.51.100.2", "198.51.100.3"
SOCKET_BYTES_MAX = 107  # sockaddr_un.sun_path, less its NUL
# Slots of the PC's bus 0 for assigned devices; those below are QEMU's, the last the PC's own.
_FIRST_ASSIGNED = 0x10
SAVER = "saver.sock"  # a monitor in the folder that QEMU starts in
_MOST_ASSIGNED = 0x1F - _FIRST_ASSIGNED


class Accelerator(Enum):
    """How the lab host runs: emulation works everywhere, KVM needs a KVM that nests."""

    TCG = "tcg"
    KVM = "kvm"


@dataclass(frozen=True, slots=True)
class LabMachine:
    """All that determines a lab host's machine.

    ``cpus`` is the number of CPUs that run what is started in it (see ``spared_cpus``).
    ``share`` is the folder that both sides write, at the same path in the lab host;
    ``exports`` are others that both write (``exports.py``).
    ``uplink`` is QEMU's user network to this machine, whose ports can be forwarded to the lab host.
    ``devices`` are PCI devices to assign to machines, in the syntax of QEMU's -device.
    ``tsc_khz`` and ``hz`` (the kernel's CONFIG_HZ), if known, save it calibrations.
    """

    kernel: Path
    initrd: Path
    share: Path
    exports: tuple[Path, ...] = ()
    uplink: bool = False
    accelerator: Accelerator = Accelerator.TCG
    cpus: int = 2
    memory_mib: int = 2048
    tsc_khz: int | None = None
    hz: int | None = None
    extra_cmdline: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def savable(self) -> bool:
        """Whether a booted one can be saved, and any number of others started from that.

        A KVM below has state that QEMU may not know, and an assigned device is hardware.
        """
        return self.accelerator is Accelerator.TCG and not self.devices

    def unfurnished(self) -> LabMachine:
        """The same machine without what differs from one command to the next."""
        there = tuple(Path(f"/{number}") for number in range(len(self.exports)))
        none = Path("/")
        return replace(self, kernel=none, initrd=none, share=none, exports=there)

    @property
    def assigned(self) -> tuple[str, ...]:
        """The addresses of ``devices`` in the lab host."""
        first = _FIRST_ASSIGNED
        return tuple(f"0000:00:{first + n:02x}.0" for n in range(len(self.devices)))

    def seen(self, path: Path) -> Path:
        """The lab host's uncached path of a file or folder of ours; ``path`` is a resolved one."""
        share = self.share.resolve()
        if path.is_relative_to(share):
            return self.share / path.relative_to(share)
        for tag, export in self.tagged_exports():
            if path.is_relative_to(export):
                return _MOUNTS / tag / path.relative_to(export)
        return _MOUNTS / _FILES_TAG / path.relative_to("/")

    @property
    def mounts(self) -> list[str]:
        """What a lab host mounts uncached, as TAG:PATH."""
        tags = (_FILES_TAG, *(tag for tag, _ in self.tagged_exports()))
        return [f"{tag}:{_MOUNTS / tag}" for tag in tags]

    def tagged_exports(self) -> tuple[tuple[str, Path], ...]:
        """``exports`` with the tags of their 9p mounts."""
        return tuple((f"disks{number}", path) for number, path in enumerate(self.exports))

    def validate(self) -> None:
        """Raise ``UserError`` for what QEMU or the kernel would not understand."""
        if not 1 <= self.cpus <= 64:
            raise UserError(f"a lab host can't have {self.cpus} CPUs", "choose 1 to 64")
        if self.memory_mib < 512:
            raise UserError(
                f"{self.memory_mib} MiB are too little for a lab host", "give it 512 MiB or more"
            )
        if len(self.devices) > _MOST_ASSIGNED:
            raise UserError(
                f"{len(self.devices)} devices for a lab host to give away",
                f"give it at most {_MOST_ASSIGNED}",
            )


def kernel_cmdline(machine: LabMachine) -> str:
    """The lab host's command line: quiet except for warnings, so that splats are seen.

    WARN() prints at KERN_WARNING, which ``loglevel=5`` lets through. An oops panics, and a panic
    ends QEMU, so a broken host is noticed at once. No ASLR: a lab host has no attackers, and QEMU
    reuses translated code if programs load at the same address as before.
    """
    words = [
        "earlyprintk=ttyS0",
        "console=ttyS0",
        "loglevel=5",
        "oops=panic",
        "panic=-1",
        "reboot=t",
        "8250.nr_uarts=1",
        "pty.legacy_count=0",
        "norandmaps",
    ]
    if machine.accelerator is Accelerator.TCG:
        words += _timer_words(machine)
    if machine.devices:
        words += ["intel_iommu=on", f"toolskvm.assign={','.join(machine.assigned)}"]
    if machine.uplink:
        words.append(f"toolskvm.net={UPLINK_SELF}/24:{_UPLINK_GATEWAY}:{_UPLINK_NAMES}")
    return " ".join([*words, "toolskvm.role=labhost", *machine.extra_cmdline])


def _timer_words(machine: LabMachine) -> list[str]:
    """The counter is the real one (see ``tsc.py``): no need to calibrate or watch it."""
    words = ["tsc=reliable", "no_timer_check"]
    if machine.tsc_khz is not None:
        words.append(f"tsc_early_khz={machine.tsc_khz}")
        if machine.hz is not None:
            # As computed in init/calibrate.c; the second CPU would measure it otherwise.
            words.append(f"lpj={machine.tsc_khz * 1000 // machine.hz}")
    return words


@dataclass(frozen=True, slots=True)
class SavedState:
    """The files of a saved lab host: its memory, the state of its processors and devices, and
    what its kernel had printed by then.

    ``to_save``: who goes on from it shall be saved again, with memory of its own.
    """

    ram: Path
    devices: Path
    console: Path
    to_save: bool = False


def qemu_argv(
    machine: LabMachine, *, socket: Path, console: Path, saved: SavedState | None = None
) -> tuple[str, ...]:
    """The command; ``socket`` is QEMU's end of the agent's port, ``console`` the kernel log.

    With ``saved`` it waits to go on from there (``saved.go_on``), and changes none of those files.
    """
    if len(str(socket).encode()) > SOCKET_BYTES_MAX:
        raise UserError(
            f"{socket} is too long for a socket ({SOCKET_BYTES_MAX} bytes)",
            "set XDG_RUNTIME_DIR to a shorter path",
        )
    cpus = machine.cpus + spared_cpus(machine.accelerator, machine.cpus)
    return (
        BINARY,
        *_board(machine),
        *_processor(machine),
        *("-smp", str(cpus), "-m", f"{machine.memory_mib}M"),
        *_memory(machine, saved),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-nographic"),
        *("-chardev", f"file,id=console,path={_value(console)},append=on"),
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=agent,path={_value(socket)},server=on,wait=off"),
        *("-device", f"virtio-serial-{_bus(machine)}"),
        *("-device", f"virtserialport,chardev=agent,name={PORT_NAME}"),
        *_folder(machine, "root", Path("/"), "readonly=on,"),
        *_folder(machine, "share", machine.share, ""),
        *_folder(machine, _FILES_TAG, Path("/"), "readonly=on,"),
        *(
            word
            for tag, export in machine.tagged_exports()
            for word in _folder(machine, tag, export, "")
        ),
        *_uplink(machine),
        *("-kernel", str(machine.kernel), "-initrd", str(machine.initrd)),
        *("-append", kernel_cmdline(machine)),
    )


def spared_cpus(accelerator: Accelerator, cpus: int) -> int:
    """The number of CPUs, from 0 on, that may run no virtual machine beside ``cpus`` others.

    Emulated x86 CPUs that load their FPU's registers write, without a lock, to a word of CPU 0. It
    also says whether CPU 0 is in a guest, has nested paging, and may be interrupted (QEMU's
    ``cpu_clear_ignne``). CPU 0's own writes to it meanwhile are lost, and with them the guest or
    the host that runs on it. A single CPU is safe: no other one writes.
    """
    return 1 if accelerator is Accelerator.TCG and cpus > 1 else 0


def _processor(machine: LabMachine) -> tuple[str, ...]:
    if machine.accelerator is Accelerator.KVM:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max,+svm")


def _board(machine: LabMachine) -> tuple[str, ...]:
    """The board; the IOMMU comes before the devices, as QEMU requires."""
    if not machine.devices:
        backend = ",memory-backend=ram" * machine.savable
        return ("-M", f"microvm,acpi=off{backend}")
    words = ["-M", "q35", "-device", "intel-iommu,intremap=on"]
    for place, device in enumerate(machine.devices, _FIRST_ASSIGNED):
        words += ["-device", f"{device},addr={place:#x}"]
    return tuple(words)


def _memory(machine: LabMachine, saved: SavedState | None) -> tuple[str, ...]:
    """Shared memory, which is saved by copying it from outside, or a private view of a copy."""
    if not machine.savable:
        return ()
    if saved is None or saved.to_save:
        memory = "memory-backend-memfd,share=on"
    else:
        memory = f"memory-backend-file,share=off,mem-path={_value(saved.ram)}"
    return (
        *("-object", f"{memory},id=ram,size={machine.memory_mib}M"),
        *("-chardev", f"socket,id=saver,path={SAVER},server=on,wait=off"),
        *("-mon", "chardev=saver,mode=control"),
        *(() if saved is None else ("-incoming", "defer")),
    )


def _bus(machine: LabMachine) -> str:
    return "pci" if machine.devices else "device"


def _folder(machine: LabMachine, tag: str, path: Path, flags: str) -> tuple[str, ...]:
    """A 9p export; with remap, inode numbers of several file systems below it do not clash."""
    options = f"local,id={tag},path={_value(path)},security_model=none,{flags}multidevs=remap"
    device = f"virtio-9p-{_bus(machine)},fsdev={tag},mount_tag={tag}"
    return ("-fsdev", options, "-device", device)


def _uplink(machine: LabMachine) -> tuple[str, ...]:
    """The uplink; the keeper lends its ports by a monitor in the folder that QEMU starts in."""
    if not machine.uplink:
        return ()
    addresses = f"net={UPLINK},host={_UPLINK_GATEWAY},dns={_UPLINK_NAMES},dhcpstart={UPLINK_SELF}"
    return (
        *("-netdev", f"user,id={forwards.NETDEV},{addresses},ipv6=off"),
        # A PCI card has a firmware program (ROM), which not every QEMU installation has.
        "-device",
        f"virtio-net-{_bus(machine)},netdev={forwards.NETDEV}{',romfile=' * bool(machine.devices)}",
        *("-chardev", f"socket,id=monitor,path={forwards.MONITOR},server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
    )


def _value(path: Path) -> str:
    """An option's value for QEMU, which wants its commas doubled."""
    return str(path).replace(",", ",,")


def has_user_network() -> bool:
    """Whether this machine's QEMU has libslirp. A missing QEMU is reported later."""
    try:
        done = process.run((BINARY, "-M", "none", "-netdev", "help"), timeout_s=30, check=False)
    except process.CommandError:
        return False
    return "user" in done.output.split()


def config_hz(kernel: Path) -> int | None:
    """CONFIG_HZ from the configuration beside a kernel image."""
    for name in ("config", ".config"):
        try:
            text = (kernel.parent / name).read_text()
        except OSError:
            continue
        if found := re.search(r"^CONFIG_HZ=(\d+)$", text, re.MULTILINE):
            return int(found.group(1))
    return None
