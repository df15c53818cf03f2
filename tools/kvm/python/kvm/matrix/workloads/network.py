# SPDX-License-Identifier: GPL-2.0-only
"""Networks: every byte of a stream arrives in its place, both ways, and both ends say so.

The streams are ``exercise``'s; the guest's end reports what both ends found. The other end is the
same program on the machine's host.
"""

from __future__ import annotations

from pathlib import Path

from kvm.guest.build import build_exercise
from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise
from kvm.run import ports
from kvm.spec.network import NetSpec, VsockSpec

_BYTES = 8 << 20
_VSOCK_BYTES = 16 << 20
_SEEN_FROM_GUEST = "10.0.2.2"
_TO_HOST, _TO_GUEST = 5201, 5202
_QUIET_S = 45.0
# The guest's end of the second stream starts when the first is done.
_PATIENCE = "EXERCISE_PATIENCE_S=110"


def net_tcp(bench: Bench) -> None:
    """Streams by libslirp: from the guest to its host, and back through a forwarded port."""
    # Cells run beside each other, and beside whatever this machine runs.
    to_host, to_guest = ports.find_free(), ports.find_free()
    server = _beside(bench, "stream-serve", f"tcp:127.0.0.1:{to_host}")
    client = _beside(bench, "stream", f"tcp:127.0.0.1:{to_guest}", str(bench.seed + 2), str(_BYTES))
    script = (
        f"export {_PATIENCE}; cat /sys/class/net/eth0/address; "
        f"ping -c 3 -W 5 {_SEEN_FROM_GUEST} >/dev/null; "
        f"exercise stream tcp:{_SEEN_FROM_GUEST}:{to_host} {bench.seed} {_BYTES}; "
        f"exercise stream-serve tcp:0.0.0.0:{_TO_GUEST}; "
        "cat /sys/class/net/eth0/statistics/rx_errors /sys/class/net/eth0/statistics/tx_errors"
    )
    done = exercise.run(
        bench,
        script,
        nets=(NetSpec.parse(f"user,loopback,hostfwd=tcp:127.0.0.1:{to_guest}-:{_TO_GUEST}"),),
        beside=(server, client),
        quiet_s=_QUIET_S,
    )
    words = done.text.split()
    bench.check("the address is ours", words[:1] == ["02:54:4b:56:4d:00"], f"{words[:1]}")
    bench.check("no errors are counted", words[-2:] == ["0", "0"], f"{words[-2:]}")
    _measure(bench, done.text)


def vsock_echo(bench: Bench) -> None:
    """Streams from the guest to a Unix socket of its host, and from there to the guest."""
    path = f"/tmp/vsock-{bench.folder.name}-{bench.seed}"
    server = _beside(bench, "stream-serve", f"unix:{path}_{_TO_HOST}")
    client = _beside(
        bench, "stream", f"connect:{path}:{_TO_GUEST}", str(bench.seed + 2), str(_VSOCK_BYTES)
    )
    script = (
        f"export {_PATIENCE}; "
        f"exercise stream vsock:2:{_TO_HOST} {bench.seed} {_VSOCK_BYTES}; "
        f"exercise stream-serve vsock:0:{_TO_GUEST}"
    )
    vsock = VsockSpec(Path(path))
    done = exercise.run(bench, script, vsock=vsock, beside=(server, client), quiet_s=_QUIET_S)
    _measure(bench, done.text)


def _beside(bench: Bench, *words: str) -> tuple[str, ...]:
    """A command that runs ``exercise`` on the machine's host."""
    return ("env", _PATIENCE, str(build_exercise(bench.project)), *words)


def _measure(bench: Bench, text: str) -> None:
    """Measure the guest's own streams: what it sent and what it received."""
    results = [line for line in text.splitlines() if line.startswith("ok ")]
    bench.check("two streams, both ways", len(results) == 4, f"{len(results)} results")
    seconds = exercise.figures(text, "stream").get("seconds", "0")
    bench.measured("last stream", float(seconds))


WORKLOADS = (
    Workload(
        "net_tcp", net_tcp, "TCP to the host and by a forwarded port back loses no byte", 120.0
    ),
    Workload("vsock_echo", vsock_echo, "vsock streams to the host and from it lose no byte", 120.0),
)
