# SPDX-License-Identifier: GPL-2.0-only
"""What ``--net`` and ``--vsock`` say, and the words that tell the guest's init its addresses.

    --net user[,hostfwd=tcp:HOST:GUEST][,hostfwd=tcp:ADDRESS:HOST-:GUEST][,loopback][,mtu=N]
        [,mac=ADDRESS]
    --net tap=NAME[,host=ADDRESS/N][,guest=ADDRESS/N][,gateway=ADDRESS][,queues=N][,mac=ADDRESS]
        [,script=FILE][,downscript=FILE][,vhost]
    --vsock PATH[,cid=N]
    --vsock vhost[,cid=N]

HOST is a port or ADDRESS:PORT of the user's machine, wherever the VMM runs, and of its 127.0.0.1
where no ADDRESS is given. The second form is QEMU's; there no ADDRESS stands for all of them.
``loopback`` lets the guest reach, as 10.0.2.2, the 127.0.0.1 of the machine that the VMM runs on (a
lab host has one of its own): what listens there often asks nobody for a password. An interface
without an address stays down, for the guest's command to set up.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kvm.errors import UserError
from kvm.run import words
from kvm.vm.network import FIRST_CID, LAST_CID, Forward, NetKind, NetSpec, VsockSpec

# What libslirp's users know; backend/user_net.hpp has them too.
_USER_GUEST, _USER_GATEWAY, _USER_NAME_SERVER = "10.0.2.15/24", "10.0.2.2", "10.0.2.3"
# QEMU's hostfwd: [tcp|udp]:[HOSTADDRESS]:HOSTPORT-[GUESTADDRESS]:GUESTPORT
_QEMU_FORWARD = re.compile(r"(tcp|udp|):([^:-]*):(\d+)-([^:-]*):(\d+)")
_QEMU_ANY = "0.0.0.0"
_USER_KEYS = ("hostfwd", "mtu", "mac")
_TAP_KEYS = ("tap", "host", "guest", "gateway", "queues", "mac", "script", "downscript")
_MAX_QUEUES = 8


@dataclass(frozen=True, slots=True)
class Net:
    """An interface of the machine, and how init sets it up: empty addresses leave it alone."""

    spec: NetSpec
    guest: str = ""
    gateway: str = ""
    name_server: str = ""


def parse_nets(texts: Sequence[str]) -> tuple[Net, ...]:
    """Each ``--net``, in the order of the guest's eth0, eth1, ..."""
    return tuple(map(parse_net, texts))


def parse_net(text: str) -> Net:
    """Raises ``UserError`` naming the part at fault."""
    first, *rest = words.split(text)
    if first == "user":
        pairs = [word for word in rest if word != "loopback"]
        return _parse_user(text, _pairs(text, pairs, _USER_KEYS), loopback="loopback" in rest)
    if first.startswith("tap="):
        pairs = [word for word in (first, *rest) if word != "vhost"]
        return _parse_tap(text, _pairs(text, pairs, _TAP_KEYS), vhost="vhost" in rest)
    _refuse(text, f"{first!r} is no kind of network", "use user or tap=NAME")


def parse_vsock(text: str) -> VsockSpec:
    path, *rest = words.split(text)
    if not path:
        raise UserError(f"--vsock {text!r} names no socket", "write --vsock PATH or vhost")
    cid = str(FIRST_CID)
    for word in rest:
        key, _, cid = word.partition("=")
        if key != "cid":
            raise UserError(f"--vsock {text}: unknown word {word!r}", "write PATH or PATH,cid=N")
    if not cid.isdecimal() or not FIRST_CID <= int(cid) <= LAST_CID:
        raise UserError(f"--vsock {text}: cid {cid}", f"use {FIRST_CID} to {LAST_CID}")
    return VsockSpec(None if path == "vhost" else Path(path).absolute(), int(cid))


def guest_words(nets: Sequence[Net]) -> str:
    """The kernel's command line carries them to our init; empty when there is nothing to say."""
    told = [f"{net.guest}:{net.gateway}:{net.name_server}".rstrip(":") for net in nets]
    return f"toolskvm.net={','.join(told)}" if any(told) else ""


def _parse_user(text: str, pairs: Sequence[tuple[str, str]], *, loopback: bool) -> Net:
    forwards, mtu, mac = [], 0, ""
    for key, value in pairs:
        if key == "hostfwd":
            forwards.append(_parse_forward(text, value))
        elif key == "mtu":
            mtu = _number(text, key, value, 576, 65521)
        else:
            mac = value
    spec = NetSpec(NetKind.USER, mac, tuple(forwards), mtu, loopback)
    return Net(spec, _USER_GUEST, _USER_GATEWAY, _USER_NAME_SERVER)


def _parse_tap(text: str, pairs: Sequence[tuple[str, str]], *, vhost: bool) -> Net:
    given = dict(pairs)
    host, guest = given.get("host", ""), given.get("guest", "")
    for key, value in (("host", host), ("guest", guest)):
        if value:
            _interface(text, key, value)
    gateway = given.get("gateway", host.partition("/")[0] if guest else "")
    if gateway:
        _interface(text, "gateway", gateway)
    spec = NetSpec(
        NetKind.TAP,
        given.get("mac", ""),
        tap=given["tap"],
        queues=_number(text, "queues", given.get("queues", "1"), 1, _MAX_QUEUES),
        host_address=host,
        script=_program(text, "script", given.get("script", "")),
        downscript=_program(text, "downscript", given.get("downscript", "")),
        vhost=vhost,
    )
    return Net(spec, guest, gateway)


def _pairs(text: str, given: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for word in given:
        key, equals, value = word.partition("=")
        if key not in known or not equals or not value:
            _refuse(text, f"{word!r}", f"use {', '.join(f'{one}=' for one in known)}")
        found.append((key, value))
    return found


def _parse_forward(text: str, value: str) -> Forward:
    """``tcp:8080:80`` or ``udp:127.0.0.1:53:53``, or as QEMU has it: ``tcp::8080-:80``."""
    if "-" in value:
        value = _of_qemu_s(text, value)
    protocol, *where = value.split(":")
    if protocol not in ("tcp", "udp") or len(where) not in (2, 3):
        _refuse(text, f"hostfwd={value}", "write tcp:HOST:GUEST or tcp:ADDRESS:HOST:GUEST")
    address = where[0] if len(where) == 3 else "127.0.0.1"
    _interface(text, "hostfwd", address)
    host, guest = (_number(text, "hostfwd", port, 1, 65535) for port in where[-2:])
    return Forward(protocol == "udp", address, host, guest)


def _of_qemu_s(text: str, value: str) -> str:
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
    try:
        ipaddress.IPv4Interface(value)
    except ValueError:
        _refuse(text, f"{key}={value} is no IPv4 address", "write it like 192.168.7.2/24")


def _number(text: str, key: str, value: str, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        _refuse(text, f"{key}={value}", f"use {least} to {most}")
    return int(value)


def _refuse(text: str, what: str, mend: str) -> NoReturn:
    raise UserError(f"--net {text}: {what}", mend)
