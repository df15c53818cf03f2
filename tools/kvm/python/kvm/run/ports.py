# SPDX-License-Identifier: GPL-2.0-only
"""Ports of this machine that lead to a guest (``hostfwd=``): must be free before we start.

With a native host the VMM itself listens there. A lab host has its own network: its QEMU
listens here and forwards to the VMM, which uses a port of the same number if it can.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

from kvm.errors import UserError
from kvm.spec.network import Forward, NetSpec

_PATIENCE_S = 1.0  # the ports of a killed command are freed a moment after its end
_RETRY_S = 0.05
_ANY, _LOOPBACK = "0.0.0.0", "127.0.0.1"


def require_free(nets: Sequence[NetSpec]) -> None:
    """Raise ``UserError`` that names the first port at which we can't listen."""
    deadline = time.monotonic() + _PATIENCE_S
    for forward in (forward for net in nets for forward in net.forwards):
        while (refusal := _refusal(forward)) is not None:
            if time.monotonic() >= deadline:
                raise UserError(
                    f"hostfwd {forward.host}: port {forward.host_port} can't be listened at: "
                    f"{refusal.strerror}",
                    "choose another port, or stop who uses it (ss -lntup shows that)",
                ) from refusal
            time.sleep(_RETRY_S)


def find_free(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine at which nobody listens now; another program may be faster."""
    with contextlib.closing(socket.socket(type=kind)) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _refusal(forward: Forward) -> OSError | None:
    with contextlib.closing(
        socket.socket(type=socket.SOCK_DGRAM if forward.udp else socket.SOCK_STREAM)
    ) as probe:
        if not forward.udp:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libslirp does
        try:
            probe.bind((forward.host_address, forward.host_port))
            if not forward.udp:
                probe.listen()
        except OSError as refused:
            return refused
    return None


def in_lab_host(forwards: Sequence[Forward]) -> Iterator[Forward]:
    """The forwards as the VMM listens to them in the lab host, where all share one address."""
    taken: set[tuple[bool, int]] = set()
    for forward in forwards:
        port = forward.host_port
        while (forward.udp, port) in taken:
            port = port % 65535 + 1
        taken.add((forward.udp, port))
        yield forward._replace(host_address=_ANY, host_port=port)
