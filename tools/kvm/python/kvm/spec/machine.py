# SPDX-License-Identifier: GPL-2.0-only
"""The spec of a machine: a value that travels from the command line to the VMM as JSON.

It needs neither the compiled core nor a kernel tree, so any module may import it. A field that a
user may set is one line of ``Hardware``; ``machine/config/fields.hpp`` has the same names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from kvm.errors import UserError
from kvm.spec import disk, json_form, share
from kvm.spec.disk import DiskSpec
from kvm.spec.fields import check_choices, option
from kvm.spec.files import require_file
from kvm.spec.network import NetSpec, VsockSpec
from kvm.spec.share import ShareSpec

MAX_VCPUS = 255
MIN_MEMORY_MIB = 32
TRANSPORTS = ("mmio", "pci")
RINGS = ("split", "packed")
PROTOCOLS = ("auto", "linux", "pvh", "multiboot", "flat")
TTYS = (0, 2, 3)
_PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_MEMORY = re.compile(r"(\d+)([KMG]?)(?:i?B)?", re.IGNORECASE)
_SCALE_KIB = {"K": 1, "M": 1024, "": 1024, "G": 1024 * 1024}
_CPUS = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_DISPLAY = re.compile(r"(\d{2,4})x(\d{2,4})")
_DISPLAY_PIXELS = range(64, 4097)
_COMMA = "write a comma in a path as \\, (also in --share, --net and --vsock)"


def parse_memory(text: str) -> int:
    """``512``, ``512M``, ``2G`` → MiB. A bare number is MiB, as in virtme-ng."""
    matched = _MEMORY.fullmatch(text.strip())
    if matched is None:
        raise UserError(f"--memory {text!r}", "write it like 512M or 2G")
    mib = int(matched.group(1)) * _SCALE_KIB[matched.group(2).upper()] // 1024
    _check_memory(mib)
    return mib


def parse_tty(text: str) -> int:
    """The number of a ttyS. Raises ``UserError`` for an impossible one."""
    if not text.isdecimal():
        raise UserError(f"--tty {text!r}", "give a number, as in ttyS0: 0, 2 or 3")
    return int(text)


def parse_balloon(text: str) -> int | None:
    """MiB; a negative number means no balloon."""
    try:
        mib = int(text)
    except ValueError:
        raise UserError(f"--balloon {text}", "give it in MiB, such as 64") from None
    return mib if mib >= 0 else None


def parse_display(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels. Raises ``UserError``."""
    matched = _DISPLAY.fullmatch(text)
    size = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if size[0] not in _DISPLAY_PIXELS or size[1] not in _DISPLAY_PIXELS:
        raise UserError(f"--display {text}", "write it like 1024x768, 64 to 4096 pixels either way")
    return size


def parse_cpus(text: str) -> tuple[int, ...]:
    """``0-3,6`` → (0, 1, 2, 3, 6). Raises ``UserError``."""
    matches = [_CPUS.fullmatch(part) for part in text.split(",")]
    ranges = [(int(one[1]), int(one[2] or one[1])) for one in matches if one is not None]
    cpus = tuple(cpu for first, last in ranges for cpu in range(first, last + 1))
    if None in matches or len(set(cpus)) < len(cpus) or any(a > b for a, b in ranges):
        raise UserError(f"--pin {text}", "name CPUs of the host, each once, such as 0-3,6")
    return cpus


def say_cpus(cpus: tuple[int, ...]) -> str:
    """The text that ``parse_cpus`` reads as these."""
    return ",".join(map(str, cpus))


def check_vcpus(count: int) -> None:
    """Raise ``UserError`` for a number of vCPUs that no machine has."""
    if not 1 <= count <= MAX_VCPUS:
        raise UserError(f"--cpus {count}", f"a machine has 1 to {MAX_VCPUS} vCPUs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The options of a machine. ``ttys`` are the serial lines that the user gets."""

    vcpus: int = option(1, name="cpus", short="p", help="number of vCPUs")
    memory_mib: int = option(
        256,
        name="memory",
        short="m",
        help="guest memory, such as 512M or 2G",
        read=parse_memory,
        say="{}M".format,
    )
    cpu: str = option(
        "host",
        short="u",
        help="the vCPUs' features: host or minimal, then +NAME or -NAME: --cpu host,-avx2; NAME? "
        "means only if KVM offers it",
    )
    hugepages: bool = option(
        False,
        short="g",
        help="take guest memory from the host's pool of huge pages (vm.nr_hugepages)",
    )
    split_irqchip: bool = option(
        False,
        short="s",
        help="put the IOAPIC into the VMM and the local APICs into KVM, without 8259s and 8254",
    )
    pin: tuple[int, ...] | None = option(
        None,
        read=parse_cpus,
        say=say_cpus,
        help="run each vCPU on its own CPU of the VMM's host: a list such as 0-3,6, of which the "
        "first is for vCPU 0",
    )
    kvm_device: str = option(
        "/dev/kvm",
        short="v",
        help="KVM's device file on the host, if it is not /dev/kvm",
    )
    protocol: str = option(
        "auto",
        short="r",
        choices=PROTOCOLS,
        help="how the kernel is entered: auto (by what it is), linux (its 64-bit entry) or pvh",
    )
    guest_events: str = option(
        "auto",
        name="events",
        choices=("auto", "port", "none"),
        help="how the guest's kernel reports its progress to the VMM: auto (by hypercall if KVM "
        "has it), port or none",
    )
    transport: str = option(
        "mmio",
        choices=TRANSPORTS,
        help="how the guest finds its virtio devices: mmio or pci",
    )
    ring: str = option(
        "split",
        choices=RINGS,
        help="layout of the virtqueues offered to the guest: split, or packed in addition",
    )
    disks: tuple[DiskSpec, ...] = option(
        (),
        name="disk",
        short="d",
        read=DiskSpec.parse,
        say=DiskSpec.words,
        help="attach a disk image: PATH, then ,ro or ,transient (all that the guest writes is lost "
        "when the machine ends) or ,volatile (what it did not flush is lost then), ,raw or ,qcow2 "
        "(default: by its name), ,direct, and ,backing=PATH for a qcow2 image's backing file "
        "outside the image's folder (repeatable); " + _COMMA,
    )
    nets: tuple[NetSpec, ...] = option(
        (),
        name="net",
        short="n",
        read=NetSpec.parse,
        say=NetSpec.words,
        help="give the guest a network: user[,hostfwd=tcp:HOST:GUEST][,loopback], which needs no "
        "permission; port HOST of this machine then leads to the guest's port GUEST (QEMU's "
        "spelling hostfwd=tcp::HOST-:GUEST works too); with loopback the guest reaches 127.0.0.1 "
        "of the VMM's host as 10.0.2.2; or "
        "tap=NAME[,script=FILE][,downscript=FILE][,vhost] (repeatable)",
    )
    vsock: VsockSpec | None = option(
        None,
        read=VsockSpec.parse,
        say=VsockSpec.words,
        help="PATH[,cid=N]: a Unix socket that leads to the guest's vsock ports; the guest's "
        "connections to port N of the host go to PATH_N. vhost[,cid=N]: use the host's own "
        "AF_VSOCK sockets",
    )
    shares: tuple[ShareSpec, ...] = option(
        (),
        name="share",
        short="e",
        read=ShareSpec.parse,
        say=ShareSpec.words,
        help="let the guest use a folder, at /mnt/NAME: PATH[,ro][,tag=NAME] (repeatable)",
    )
    vfio_pci: tuple[str, ...] = option(
        (),
        short="f",
        help="give the machine a PCI function of the host that is bound to vfio-pci, by its "
        "address, such as 0000:00:10.0; needs --transport pci (repeatable)",
    )
    balloon_mib: int | None = option(
        None,
        name="balloon",
        short="b",
        read=parse_balloon,
        help="give the machine a memory balloon that takes this many MiB at the start",
    )
    ttys: tuple[int, ...] = option(
        (),
        name="tty",
        read=parse_tty,
        help="connect a serial line of the guest to a terminal of this machine, whose path is "
        "printed: 0 (then its console), 2 or 3, as in ttyS0 (repeatable)",
    )
    display: tuple[int, int] | None = None  # width and height in pixels

    def check(self) -> Self:
        """Raise ``UserError`` naming the first impossible value in the user's words; return self
        otherwise."""
        check_choices(self)
        check_vcpus(self.vcpus)
        if self.pin is not None and len(self.pin) < self.vcpus:
            raise UserError(
                f"--pin {say_cpus(self.pin)}: {len(self.pin)} CPUs for {self.vcpus} vCPUs",
                "name one for each",
            )
        _check_memory(self.memory_mib)
        if not self.kvm_device.startswith("/"):
            raise UserError(
                f"--kvm-device {self.kvm_device}", "give its whole path, such as /dev/kvm"
            )
        for number in self.ttys:
            if number not in TTYS or self.ttys.count(number) > 1:
                raise UserError(
                    f"--tty {number}", "use 0, 2 and 3, each once; ttyS1 is the harness's own"
                )
        for address in self.vfio_pci:
            if not _PCI_ADDRESS.fullmatch(address):
                raise UserError(f"--vfio-pci {address}", "write it as lspci -D does: 0000:00:10.0")
        if self.balloon_mib is not None and not 0 <= self.balloon_mib < self.memory_mib:
            raise UserError(
                f"a balloon of {self.balloon_mib} MiB in {self.memory_mib} MiB of memory",
                f"use 0 to {self.memory_mib - 1}",
            )
        share.check_all(self.shares)
        disk.check_all(self.disks)
        return self


@dataclass(frozen=True, slots=True)
class MachineSpec(Hardware):
    """The hardware and what runs on it. A ``payload`` gets the test device and no virtio devices.
    A ``rewindable`` one can be put back to a checkpoint; it has fewer devices (``rewind.cpp``).
    ``log_buf`` is (guest physical address, length) of the kernel's log, read at stop.
    ``display_password`` is the password for the display's viewers, if any. It is not in
    ``to_json``, because that is stored and shown.
    """

    kernel: Path
    initrd: Path | None
    cmdline: str
    rng: bool = True
    payload: bool = False
    rewindable: bool = False
    log_buf: tuple[int, int] | None = None
    display_password: str = field(default="", repr=False)

    def check(self) -> Self:
        """Raise ``UserError`` for what could not boot, before anything is started."""
        Hardware.check(self)
        require_file(self.kernel, "kernel", "build one, or pass the path of a vmlinux or bzImage")
        if self.initrd is not None:
            require_file(self.initrd, "initrd", "pass the path of a cpio archive")
        return self

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; ``from_json`` is its inverse, except for the password.

        Default values are left out, so that a VMM of an older commit, which a bisection boots, gets
        no field that it does not know unless the field is used.
        """
        record = json_form.to_json(self)
        del record["display_password"]
        plain = json_form.to_json(MachineSpec(self.kernel, None, ""))
        always = ("kernel", "initrd", "cmdline")
        return {k: v for k, v in record.items() if k in always or v != plain[k]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MachineSpec:
        """Raises ``UserError`` naming a field that is missing, unknown or of the wrong type."""
        if unknown := sorted(set(record) - {one.name for one in fields(cls)}):
            raise UserError(f"unknown field {unknown[0]!r} in a machine spec", "remove it")
        try:
            return json_form.from_json(cls, {"initrd": None, **record})
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"bad machine spec: {error!r}", "see kvm/spec/machine.py") from error


def _check_memory(mib: int) -> None:
    if mib < MIN_MEMORY_MIB:
        raise UserError(
            f"--memory: {mib} MiB asked for", f"a kernel needs at least {MIN_MEMORY_MIB} MiB"
        )
