# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is made of: a value that travels from the command line to the VMM as JSON.

Needs neither the compiled core nor a kernel tree, so anything may import it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.vm.network import NetSpec, VsockSpec

MAX_VCPUS = 255
EVENT_PATHS = ("auto", "port", "none")  # auto: by hypercall where KVM has it, else by port
TRANSPORTS = ("mmio", "pci")
RINGS = ("split", "packed")  # packed: offered besides the split kind
PROTOCOLS = ("auto", "linux", "pvh", "multiboot", "flat")  # auto: by what the file is
MIN_MEMORY_MIB = 32
DISK_FORMATS = ("raw", "qcow2")
_SHARE_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")
DEFAULT_KVM_DEVICE = "/dev/kvm"
_DEFAULT_VCPUS = 1
_DEFAULT_MEMORY_MIB = 256


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """An image file that the guest sees as a virtio disk.

    ``volatile``: its write cache dies with the VMM, however that ends, so what the guest
    did not flush is lost. ``direct``: past the host's page cache. ``backing_folder`` is where
    relative names of a qcow2 image's backing file count from, if not its own folder. A backing
    file lies below that folder, or is one of ``backing`` or below it; ``backing_files`` are where
    the host has them, the uppermost first, if not by their names. Unless the user has said
    the format (``format_said``), a raw disk must not look like an image of another format.
    """

    path: Path
    read_only: bool = False
    volatile: bool = False
    format: str = "raw"
    direct: bool = False
    backing_folder: Path | None = None
    format_said: bool = False
    backing: tuple[Path, ...] = ()
    backing_files: tuple[Path, ...] = ()

    def validate(self) -> None:
        _require_file(self.path, "disk", "create it with `truncate -s 1G FILE`", block_devices=True)
        if self.read_only and self.volatile:
            raise UserError(
                f"disk {self.path} is both read-only and volatile",
                "use one of the two: a read-only disk has no writes to lose",
            )
        if self.format not in DISK_FORMATS:
            raise UserError(
                f"disk {self.path} has the format {self.format!r}",
                f"use {' or '.join(DISK_FORMATS)}",
            )
        if self.direct and self.format != "raw":
            raise UserError(f"disk {self.path}: direct is for raw images", "leave it out")
        if self.backing and self.format != "qcow2":
            raise UserError(
                f"disk {self.path}: backing is for qcow2 images", "leave it out, or write ,qcow2"
            )
        for place in self.backing:
            if not place.exists():
                raise UserError(
                    f"disk {self.path}: its backing {place} does not exist",
                    "name the backing file, or a folder that it is in",
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "read_only": self.read_only,
            "volatile": self.volatile,
            "format": self.format,
            "direct": self.direct,
            "backing_folder": None if self.backing_folder is None else str(self.backing_folder),
            "format_said": self.format_said,
            "backing": [str(place) for place in self.backing],
            "backing_files": [str(file) for file in self.backing_files],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DiskSpec:
        backing = record.get("backing_folder")
        return cls(
            Path(record["path"]),
            bool(record["read_only"]),
            volatile=bool(record.get("volatile", False)),
            format=str(record.get("format", "raw")),
            direct=bool(record.get("direct", False)),
            backing_folder=None if backing is None else Path(backing),
            format_said=bool(record.get("format_said", False)),
            backing=tuple(map(Path, record.get("backing", ()))),
            backing_files=tuple(map(Path, record.get("backing_files", ()))),
        )


@dataclass(frozen=True, slots=True)
class ShareSpec:
    """A folder that the guest can mount by ``tag`` (9p); our init mounts it at /mnt/TAG."""

    path: Path
    tag: str
    read_only: bool = False

    def validate(self) -> None:
        if not _SHARE_TAG.fullmatch(self.tag):
            raise UserError(
                f"share {self.path} has the tag {self.tag!r}",
                "use up to 31 letters, digits, '.', '_' or '-', the first a letter or digit",
            )
        if not self.path.is_dir():
            raise UserError(f"share {self.path} is not a folder", "name an existing folder")


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """``transport`` and ``ring`` are every virtio device's. ``guest_events`` is how the guest's
    kernel may tell the VMM how far it has got, ``protocol`` how it is entered; a ``payload`` gets
    the test device and no virtio devices. ``cpu`` names the processors' features (``host,-avx``),
    ``hugepages`` takes memory from the host's pool, ``split_irqchip`` has the IOAPIC in the VMM.
    ``kvm_device`` is the file of the KVM to use, where the host has several.
    ``vfio_pci`` are addresses of PCI functions of the host that become the guest's.
    ``ttys`` are the serial lines that the user has (0, 2, 3),
    ``display`` is the width and height of its screen, in pixels; ``display_password`` is what its
    viewers must know, if anything, and is no part of ``to_json``, which is kept and shown.
    ``log_buf`` is (guest physical address, length) of the kernel's log, read at stop."""

    kernel: Path
    initrd: Path | None
    cmdline: str
    vcpus: int = _DEFAULT_VCPUS
    memory_mib: int = _DEFAULT_MEMORY_MIB
    disks: tuple[DiskSpec, ...] = ()
    nets: tuple[NetSpec, ...] = ()
    vsock: VsockSpec | None = None
    shares: tuple[ShareSpec, ...] = ()
    rng: bool = True
    balloon_mib: int | None = None
    guest_events: str = "auto"
    transport: str = "mmio"
    ring: str = "split"
    log_buf: tuple[int, int] | None = None
    protocol: str = "auto"
    payload: bool = False
    hugepages: bool = False
    split_irqchip: bool = False
    kvm_device: str = DEFAULT_KVM_DEVICE
    cpu: str = "host"
    vfio_pci: tuple[str, ...] = ()
    ttys: tuple[int, ...] = ()
    display: tuple[int, int] | None = None
    display_password: str = field(default="", repr=False)

    def validate(self) -> None:
        """Raise ``UserError`` for what could not boot, before anything is started."""
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise UserError(f"{self.vcpus} vCPUs asked for", f"use 1 to {MAX_VCPUS}")
        if self.memory_mib < MIN_MEMORY_MIB:
            raise UserError(
                f"{self.memory_mib} MiB of memory asked for", f"use at least {MIN_MEMORY_MIB} MiB"
            )
        if self.transport not in TRANSPORTS:
            raise UserError(f"transport {self.transport!r}", f"use one of {', '.join(TRANSPORTS)}")
        if self.ring not in RINGS:
            raise UserError(f"ring {self.ring!r}", f"use one of {', '.join(RINGS)}")
        _require_file(self.kernel, "kernel", "build one, or pass the path of a vmlinux or bzImage")
        if self.initrd is not None:
            _require_file(self.initrd, "initrd", "pass the path of a cpio archive")
        self.validate_devices()

    def validate_devices(self) -> None:
        """The part of ``validate`` that needs neither kernel nor initrd."""
        if self.balloon_mib is not None and not 0 <= self.balloon_mib < self.memory_mib:
            raise UserError(
                f"a balloon of {self.balloon_mib} MiB in {self.memory_mib} MiB of memory",
                f"use 0 to {self.memory_mib - 1}",
            )
        for share in self.shares:
            share.validate()
        if len({share.tag for share in self.shares}) < len(self.shares):
            raise UserError("two shares have the same tag", "give each a tag of its own: tag=NAME")
        for disk in self.disks:
            disk.validate()

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; ``from_json`` is its inverse, but for the password.

        What is the default is left out: so a VMM of an older commit, which a bisection boots,
        is told of nothing that it does not know unless it is asked to do it.
        """
        plain = MachineSpec(self.kernel, self.initrd, self.cmdline)._record()
        always = ("kernel", "initrd", "cmdline")
        record = self._record()
        return {
            name: record[name] for name in record if name in always or record[name] != plain[name]
        }

    def _record(self) -> dict[str, Any]:
        return {
            "kernel": str(self.kernel),
            "initrd": None if self.initrd is None else str(self.initrd),
            "cmdline": self.cmdline,
            "vcpus": self.vcpus,
            "memory_mib": self.memory_mib,
            "disks": [disk.to_json() for disk in self.disks],
            "shares": [
                {"path": str(share.path), "tag": share.tag, "read_only": share.read_only}
                for share in self.shares
            ],
            "nets": [net.to_json() for net in self.nets],
            "vsock": None if self.vsock is None else self.vsock.to_json(),
            "rng": self.rng,
            "balloon_mib": self.balloon_mib,
            "guest_events": self.guest_events,
            "transport": self.transport,
            "ring": self.ring,
            "log_buf": None if self.log_buf is None else list(self.log_buf),
            "protocol": self.protocol,
            "payload": self.payload,
            "hugepages": self.hugepages,
            "split_irqchip": self.split_irqchip,
            "kvm_device": self.kvm_device,
            "cpu": self.cpu,
            "vfio_pci": list(self.vfio_pci),
            "ttys": list(self.ttys),
            "display": None if self.display is None else list(self.display),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MachineSpec:
        """Raises ``UserError`` naming the field that is missing, unknown or of the wrong kind."""
        if unknown := sorted(set(record) - set(cls.__slots__)):
            raise UserError(f"unknown field {unknown[0]!r} in a machine spec", "remove it")
        try:
            initrd, log_buf = record.get("initrd"), record.get("log_buf")
            vsock, balloon = record.get("vsock"), record.get("balloon_mib")
            display = record.get("display")
            return cls(
                kernel=Path(record["kernel"]),
                initrd=None if initrd is None else Path(initrd),
                cmdline=str(record["cmdline"]),
                vcpus=int(record.get("vcpus", _DEFAULT_VCPUS)),
                memory_mib=int(record.get("memory_mib", _DEFAULT_MEMORY_MIB)),
                disks=tuple(DiskSpec.from_json(disk) for disk in record.get("disks", ())),
                shares=tuple(
                    ShareSpec(Path(share["path"]), str(share["tag"]), bool(share["read_only"]))
                    for share in record.get("shares", ())
                ),
                nets=tuple(NetSpec.from_json(net) for net in record.get("nets", ())),
                vsock=None if vsock is None else VsockSpec.from_json(vsock),
                rng=bool(record.get("rng", True)),
                balloon_mib=None if balloon is None else int(balloon),
                guest_events=str(record.get("guest_events", "auto")),
                transport=str(record.get("transport", "mmio")),
                ring=str(record.get("ring", "split")),
                log_buf=None if log_buf is None else (int(log_buf[0]), int(log_buf[1])),
                protocol=str(record.get("protocol", "auto")),
                payload=bool(record.get("payload", False)),
                hugepages=bool(record.get("hugepages", False)),
                split_irqchip=bool(record.get("split_irqchip", False)),
                kvm_device=str(record.get("kvm_device", DEFAULT_KVM_DEVICE)),
                cpu=str(record.get("cpu", "host")),
                vfio_pci=tuple(map(str, record.get("vfio_pci", ()))),
                ttys=tuple(map(int, record.get("ttys", ()))),
                display=None if display is None else (int(display[0]), int(display[1])),
                display_password=str(record.get("display_password", "")),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"bad machine spec: {error!r}", "see kvm/vm/spec.py") from error


def _require_file(path: Path, role: str, mend: str, *, block_devices: bool = False) -> None:
    if not path.exists():
        raise UserError(f"{role} {path} does not exist", mend)
    if path.is_dir():
        raise UserError(f"{role} {path} is a directory", mend)
    if not path.is_file() and not (block_devices and path.is_block_device()):
        # Opening it may wait for ever, as for a FIFO's other end.
        raise UserError(f"{role} {path} is not a regular file", mend)
