# SPDX-License-Identifier: GPL-2.0-only
"""Networks and the vsock of a machine.

    --net user[,hostfwd=tcp:HOST:GUEST][,hostfwd=tcp:ADDRESS:HOST-:GUEST][,loopback][,mtu=N]
        [,mac=ADDRESS]
    --net tap=NAME[,host=ADDRESS/N][,guest=ADDRESS/N][,gateway=ADDRESS][,queues=N][,mac=ADDRESS]
        [,script=FILE][,downscript=FILE][,vhost]
    --vsock PATH[,cid=N]
    --vsock vhost[,cid=N]

HOST is a port or ADDRESS:PORT of the user's machine, wherever the VMM runs; the default ADDRESS is
127.0.0.1. The second form is QEMU's; there the default is all addresses. ``loopback`` lets the
guest reach, as 10.0.2.2, the 127.0.0.1 of the machine on which the VMM runs (a lab host has its
own): services there often require no password. An interface without an address stays down, for the
guest's command to set up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, NoReturn

from kvm.errors import UserError
from kvm.spec import words
from kvm.spec.json_form import here_only

FIRST_CID, LAST_CID = 3, 0xFFFFFFFE
# libslirp's well-known addresses; backend/user_net.hpp has them too.
_USER_GUEST, _USER_GATEWAY, _USER_NAME_SERVER = "10.0.2.15/24", "10.0.2.2", "10.0.2.3"
# QEMU's hostfwd: [tcp|udp]:[HOSTADDRESS]:HOSTPORT-[GUESTADDRESS]:GUESTPORT
_QEMU_FORWARD = re.compile(r"(tcp|udp|):([^:-]*):(\d+)-([^:-]*):(\d+)")
_QEMU_ANY = "0.0.0.0"
_USER_KEYS = ("hostfwd", "mtu", "mac")
_TAP_KEYS = ("tap", "host", "guest", "gateway", "queues", "mac", "script", "downscript")
_MAX_QUEUES = 8


class NetKind(Enum):
    """The other end of the cable."""

    USER = "user"  # libslirp, in the VMM: NAT to the host's own sockets
    TAP = "tap"  # an interface of the host


class Forward(NamedTuple):
    """A port of the host that leads to a port of the guest."""

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
    """One interface.

    For user networks: ``forwards``, ``mtu`` (0: the default), ``host_loopback`` (10.0.2.2 leads to
    the host's 127.0.0.1), and ``closed``, networks like 198.51.100.0/24 that the guest must not
    reach. For taps: ``tap`` is the interface's name, ``host_address`` the address to give it
    ("192.168.7.1/24"; empty: none). ``script`` and ``downscript`` are programs that get its name,
    before the guest starts and after it has stopped. ``vhost``: the host's kernel moves the tap's
    frames.

    ``mac``: empty for one that is always the same. ``guest``, ``gateway``, ``name_server`` say
    how the guest's init sets the interface up; they are passed on the kernel's command line and
    are not part of the JSON.
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
    guest: str = here_only("")
    gateway: str = here_only("")
    name_server: str = here_only("")

    @classmethod
    def parse(cls, text: str) -> NetSpec:
        """Raises ``UserError`` naming the part at fault."""
        first, *rest = words.split(text)
        if first == "user":
            pairs = [word for word in rest if word != "loopback"]
            return _parse_user(text, _pairs(text, pairs, _USER_KEYS), loopback="loopback" in rest)
        if first.startswith("tap="):
            pairs = [word for word in (first, *rest) if word != "vhost"]
            return _parse_tap(text, _pairs(text, pairs, _TAP_KEYS), vhost="vhost" in rest)
        _refuse(text, f"{first!r} is no kind of network", "use user or tap=NAME")

    def words(self) -> str:
        """The text that ``parse`` reads as this network."""
        given = {"mac": self.mac}
        if self.kind is NetKind.USER:
            first = ["user", *(f"hostfwd={one.host}:{one.guest_port}" for one in self.forwards)]
            given |= {"mtu": str(self.mtu or "")}
            last = ["loopback"] if self.host_loopback else []
        else:
            first = [f"tap={self.tap}"]
            given |= {
                "host": self.host_address,
                "guest": self.guest,
                "gateway": ""
                if self.gateway == _usual_gateway(self.host_address, self.guest)
                else self.gateway,
                "queues": "" if self.queues == 1 else str(self.queues),
                "script": self.script,
                "downscript": self.downscript,
            }
            last = ["vhost"] if self.vhost else []
        return words.join([*first, *(f"{k}={v}" for k, v in given.items() if v), *last])


@dataclass(frozen=True, slots=True)
class VsockSpec:
    """``path``: a Unix socket that leads into the guest; the guest reaches ``path_N`` at port N of
    the host. None: AF_VSOCK sockets of the host, by its vhost."""

    path: Path | None
    cid: int = FIRST_CID

    @classmethod
    def parse(cls, text: str) -> VsockSpec:
        path, *rest = words.split(text)
        if not path:
            raise UserError(f"--vsock {text!r} names no socket", "write --vsock PATH or vhost")
        cid = str(FIRST_CID)
        for word in rest:
            key, _, cid = word.partition("=")
            if key != "cid":
                raise UserError(
                    f"--vsock {text}: unknown word {word!r}", "write PATH or PATH,cid=N"
                )
        if not cid.isdecimal() or not FIRST_CID <= int(cid) <= LAST_CID:
            raise UserError(f"--vsock {text}: cid {cid}", f"use {FIRST_CID} to {LAST_CID}")
        return cls(None if path == "vhost" else Path(path).absolute(), int(cid))

    def words(self) -> str:
        """The text that ``parse`` reads as this vsock."""
        cid = [] if self.cid == FIRST_CID else [f"cid={self.cid}"]
        return words.join(["vhost" if self.path is None else str(self.path), *cid])


def guest_words(nets: Sequence[NetSpec]) -> str:
    """Words on the kernel's command line for our init; empty if it needs none."""
    told = [f"{net.guest}:{net.gateway}:{net.name_server}".rstrip(":") for net in nets]
    return f"toolskvm.net={','.join(told)}" if any(told) else ""


def _parse_user(text: str, pairs: Sequence[tuple[str, str]], *, loopback: bool) -> NetSpec:
    forwards, mtu, mac = [], 0, ""
    for key, value in pairs:
        if key == "hostfwd":
            forwards.append(_parse_forward(text, value))
        elif key == "mtu":
            mtu = _number(text, key, value, 576, 65521)
        else:
            mac = value
    return NetSpec(
        NetKind.USER,
        mac,
        tuple(forwards),
        mtu,
        loopback,
        guest=_USER_GUEST,
        gateway=_USER_GATEWAY,
        name_server=_USER_NAME_SERVER,
    )


def _parse_tap(text: str, pairs: Sequence[tuple[str, str]], *, vhost: bool) -> NetSpec:
    given = dict(pairs)
    host, guest = given.get("host", ""), given.get("guest", "")
    for key, value in (("host", host), ("guest", guest)):
        if value:
            _interface(text, key, value)
    gateway = given.get("gateway", _usual_gateway(host, guest))
    if gateway:
        _interface(text, "gateway", gateway)
    return NetSpec(
        NetKind.TAP,
        given.get("mac", ""),
        tap=given["tap"],
        queues=_number(text, "queues", given.get("queues", "1"), 1, _MAX_QUEUES),
        host_address=host,
        script=_program(text, "script", given.get("script", "")),
        downscript=_program(text, "downscript", given.get("downscript", "")),
        vhost=vhost,
        guest=guest,
        gateway=gateway,
    )


def _usual_gateway(host: str, guest: str) -> str:
    """The gateway of a guest with an address: the host's end of the tap."""
    return host.partition("/")[0] if guest else ""


def _pairs(text: str, given: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in given:
        key, equals, value = word.partition("=")
        if key not in known or not equals or not value:
            _refuse(text, f"{word!r}", f"use {', '.join(f'{one}=' for one in known)}")
        found.append((key, value))
    return found


def _parse_forward(text: str, value: str) -> Forward:
    """Parse ``tcp:8080:80``, ``udp:127.0.0.1:53:53``, or QEMU's form, ``tcp::8080-:80``."""
    if "-" in value:
        value = _from_qemu_words(text, value)
    protocol, *where = value.split(":")
    if protocol not in ("tcp", "udp") or len(where) not in (2, 3):
        _refuse(text, f"hostfwd={value}", "write tcp:HOST:GUEST or tcp:ADDRESS:HOST:GUEST")
    address = where[0] if len(where) == 3 else "127.0.0.1"
    _interface(text, "hostfwd", address)
    host, guest = (_number(text, "hostfwd", port, 1, 65535) for port in where[-2:])
    return Forward(protocol == "udp", address, host, guest)


def _from_qemu_words(text: str, value: str) -> str:
    found = _QEMU_FORWARD.fullmatch(value)
    if found is None:
        _refuse(
            text, f"hostfwd={value}", "write tcp:HOST:GUEST, or as QEMU: tcp:ADDRESS:HOST-:GUEST"
        )
    protocol, address, host, guest, guest_port = found.groups()
    if guest not in ("", _USER_GUEST.partition("/")[0]):
        _refuse(text, f"hostfwd={value}: the guest is not {guest}", "leave that address out")
    return f"{protocol or 'tcp'}:{address or _QEMU_ANY}:{host}:{guest_port}"


def _program(text: str, key: str, value: str) -> str:
    if value and not (Path(value).is_file() and os.access(value, os.X_OK)):
        _refuse(text, f"{key}={value} is no program", "name an executable file")
    return str(Path(value).absolute()) if value else ""


def _interface(text: str, key: str, value: str) -> None:
    import ipaddress  # slow to import, and most machines name no address

    try:
        ipaddress.IPv4Interface(value)
    except ValueError:
        _refuse(text, f"{key}={value} is no IPv4 address", "write it like 192.168.7.2/24")


def _number(text: str, key: str, value: str, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        _refuse(text, f"{key}={value}", f"use {least} to {most}")
    return int(value)


def _refuse(text: str, what: str, hint: str) -> NoReturn:
    raise UserError(f"--net {text}: {what}", hint)
