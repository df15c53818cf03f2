# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is made of, as far as networks go: interfaces and a vsock. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

FIRST_CID, LAST_CID = 3, 0xFFFFFFFE


class NetKind(Enum):
    """Who is at the other end of the cable."""

    USER = "user"  # libslirp, in the VMM: NAT to the host's own sockets
    TAP = "tap"  # an interface of the host's


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the host that leads to one of the guest's."""

    udp: bool
    host_address: str
    host_port: int
    guest_port: int

    @property
    def host(self) -> str:
        """Its end on the host, as in ``tcp:127.0.0.1:8080``."""
        return f"{'udp' if self.udp else 'tcp'}:{self.host_address}:{self.host_port}"


@dataclass(frozen=True, slots=True)
class NetSpec:
    """One interface. ``forwards``, ``mtu`` (0: the usual) and ``host_loopback`` (10.0.2.2 leads to
    the host's 127.0.0.1) are for user networks, as are ``closed``, networks like 198.51.100.0/24
    that the guest must not reach; ``tap`` is the interface's name, ``host_address``
    what to give it ("192.168.7.1/24"; empty: nothing). ``script`` and ``downscript`` are programs
    that get its name, before the guest starts and after it has stopped. ``vhost``: the host's
    kernel moves the tap's frames.

    ``mac``: empty for one that is the same each time. The guest's own address is no part of the
    machine: it travels on the kernel's command line.
    """

    kind: NetKind
    mac: str = ""
    forwards: tuple[Forward, ...] = ()
    mtu: int = 0
    host_loopback: bool = False
    closed: tuple[str, ...] = ()
    tap: str = ""
    queues: int = 1
    host_address: str = ""
    script: str = ""
    downscript: str = ""
    vhost: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "mac": self.mac,
            "forwards": [
                [one.udp, one.host_address, one.host_port, one.guest_port] for one in self.forwards
            ],
            "mtu": self.mtu,
            "host_loopback": self.host_loopback,
            "closed": list(self.closed),
            "tap": self.tap,
            "queues": self.queues,
            "host_address": self.host_address,
            "script": self.script,
            "downscript": self.downscript,
            "vhost": self.vhost,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> NetSpec:
        """Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        return cls(
            kind=NetKind(record["kind"]),
            mac=str(record.get("mac", "")),
            forwards=tuple(
                Forward(bool(udp), str(address), int(host), int(guest))
                for udp, address, host, guest in record.get("forwards", ())
            ),
            mtu=int(record.get("mtu", 0)),
            host_loopback=bool(record.get("host_loopback", False)),
            closed=tuple(map(str, record.get("closed", ()))),
            tap=str(record.get("tap", "")),
            queues=int(record.get("queues", 1)),
            host_address=str(record.get("host_address", "")),
            script=str(record.get("script", "")),
            downscript=str(record.get("downscript", "")),
            vhost=bool(record.get("vhost", False)),
        )


@dataclass(frozen=True, slots=True)
class VsockSpec:
    """``path``: a Unix socket that leads into the guest; ``path_N`` is what the guest finds at
    port N of the host. None: AF_VSOCK sockets of the host's, by its vhost."""

    path: Path | None
    cid: int = FIRST_CID

    def to_json(self) -> dict[str, Any]:
        return {"path": None if self.path is None else str(self.path), "cid": self.cid}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> VsockSpec:
        """Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        path = record["path"]
        return cls(None if path is None else Path(path), int(record.get("cid", FIRST_CID)))
