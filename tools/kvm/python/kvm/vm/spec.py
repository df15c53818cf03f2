# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is made of: a value that travels from the command line to the VMM as JSON.

Needs neither the compiled core nor a kernel tree, so anything may import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
_DEFAULT_VCPUS = 1
_DEFAULT_MEMORY_MIB = 256


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A raw image file that the guest sees as a virtio disk.

    ``volatile``: its write cache dies with the VMM, however that ends, so what the guest
    did not flush is lost.
    """

    path: Path
    read_only: bool = False
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """``transport`` and ``ring`` are every virtio device's. ``guest_events`` is how the guest's
    kernel may tell the VMM how far it has got, ``protocol`` how it is entered; a ``payload`` gets
    the test device and no virtio devices. ``cpu`` names the processors' features (``host,-avx``),
    ``hugepages`` takes memory from the host's pool, ``split_irqchip`` has the IOAPIC in the VMM.
    ``log_buf`` is (guest physical address, length) of the kernel's log, read at stop."""

    kernel: Path
    initrd: Path | None
    cmdline: str
    vcpus: int = _DEFAULT_VCPUS
    memory_mib: int = _DEFAULT_MEMORY_MIB
    disks: tuple[DiskSpec, ...] = ()
    nets: tuple[NetSpec, ...] = ()
    vsock: VsockSpec | None = None
    rng: bool = True
    guest_events: str = "auto"
    transport: str = "mmio"
    ring: str = "split"
    log_buf: tuple[int, int] | None = None
    protocol: str = "auto"
    payload: bool = False
    hugepages: bool = False
    split_irqchip: bool = False
    cpu: str = "host"

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
        for disk in self.disks:
            _require_file(disk.path, "disk", "create it with `truncate -s 1G FILE`")
            if disk.read_only and disk.volatile:
                raise UserError(
                    f"disk {disk.path} is both read-only and volatile",
                    "use one of the two: a read-only disk has no writes to lose",
                )

    def to_json(self) -> dict[str, Any]:
        """A dict for ``json.dumps``; ``from_json`` is its inverse.

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
            "disks": [
                {"path": str(disk.path), "read_only": disk.read_only, "volatile": disk.volatile}
                for disk in self.disks
            ],
            "nets": [net.to_json() for net in self.nets],
            "vsock": None if self.vsock is None else self.vsock.to_json(),
            "rng": self.rng,
            "guest_events": self.guest_events,
            "transport": self.transport,
            "ring": self.ring,
            "log_buf": None if self.log_buf is None else list(self.log_buf),
            "protocol": self.protocol,
            "payload": self.payload,
            "hugepages": self.hugepages,
            "split_irqchip": self.split_irqchip,
            "cpu": self.cpu,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MachineSpec:
        """Raises ``UserError`` naming the field that is missing, unknown or of the wrong kind."""
        if unknown := sorted(set(record) - set(cls.__slots__)):
            raise UserError(f"unknown field {unknown[0]!r} in a machine spec", "remove it")
        try:
            initrd, log_buf = record.get("initrd"), record.get("log_buf")
            vsock = record.get("vsock")
            return cls(
                kernel=Path(record["kernel"]),
                initrd=None if initrd is None else Path(initrd),
                cmdline=str(record["cmdline"]),
                vcpus=int(record.get("vcpus", _DEFAULT_VCPUS)),
                memory_mib=int(record.get("memory_mib", _DEFAULT_MEMORY_MIB)),
                disks=tuple(
                    DiskSpec(
                        Path(disk["path"]),
                        bool(disk["read_only"]),
                        volatile=bool(disk.get("volatile", False)),
                    )
                    for disk in record.get("disks", ())
                ),
                nets=tuple(NetSpec.from_json(net) for net in record.get("nets", ())),
                vsock=None if vsock is None else VsockSpec.from_json(vsock),
                rng=bool(record.get("rng", True)),
                guest_events=str(record.get("guest_events", "auto")),
                transport=str(record.get("transport", "mmio")),
                ring=str(record.get("ring", "split")),
                log_buf=None if log_buf is None else (int(log_buf[0]), int(log_buf[1])),
                protocol=str(record.get("protocol", "auto")),
                payload=bool(record.get("payload", False)),
                hugepages=bool(record.get("hugepages", False)),
                split_irqchip=bool(record.get("split_irqchip", False)),
                cpu=str(record.get("cpu", "host")),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"bad machine spec: {error!r}", "see kvm/vm/spec.py") from error


def _require_file(path: Path, role: str, mend: str) -> None:
    if not path.exists():
        raise UserError(f"{role} {path} does not exist", mend)
    if path.is_dir():
        raise UserError(f"{role} {path} is a directory", mend)
