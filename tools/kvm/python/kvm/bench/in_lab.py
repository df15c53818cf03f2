# SPDX-License-Identifier: GPL-2.0-only
"""The half of ``bench`` that runs in the lab host: boots both sides in turn.

Called as ``in_lab.py JOB`` with the job as JSON; the last line of its output is the result:
seconds to HELLO and exits of each side's boots (QEMU tells no exits).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BOOT_DEADLINE_S = 30.0
RETRIES = 2


def main() -> int:
    """Interleave the runs; one of each first, unmeasured, to warm the page cache."""
    job = json.loads(sys.argv[1])
    sys.path.insert(0, job["artifact"])
    import kvm.vm.worker as worker

    sides: dict[str, Callable[[], tuple[float, int]]] = {
        "qemu": lambda: (boot_qemu(job), 0),
        "ours": lambda: boot_ours(worker, job, job["guest_events"]),
        "silent": lambda: boot_ours(worker, job, "none"),
    }
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in job["sides"]}
    for number in range(job["runs"] + 1):
        # Each goes first as often as the other.
        for name in job["sides"][:: -1 if number % 2 else 1]:
            seconds, count = steady(sides[name])
            print(f"run {number}: {name} {seconds:.3f} s, {count} exits", flush=True)
            if number:
                found[name].append((seconds, count))
    print(json.dumps(found))
    return 0


def steady(boot: Callable[[], tuple[float, int]]) -> tuple[float, int]:
    """Emulated SVM loses a guest once in a hundred boots: such a boot is made again."""
    for _ in range(RETRIES):
        try:
            return boot()
        except SystemExit as lost:
            print(f"{lost}; again", flush=True)
    return boot()


def boot_ours(worker: Any, job: dict[str, Any], guest_events: str) -> tuple[float, int]:
    """Fork a worker, as the lab's agent does; seconds to HELLO and exits of the whole boot."""
    spec = {
        "kernel": job["kernel"],
        "initrd": job["initrd"],
        "cmdline": job["cmdline"],
        "vcpus": 1,
        "memory_mib": job["memory_mib"],
        "disks": [],
        "rng": False,
        "guest_events": guest_events,
        "log_buf": None,
    }
    request = {"spec": spec, "run": {"argv": ["true"], "tty": False, "env": {}}}
    start = time.monotonic()
    with forked(worker) as (to_worker, from_worker):
        os.write(to_worker, json.dumps(request).encode() + b"\n")
        hello = None
        for event in events(from_worker, start + BOOT_DEADLINE_S):
            if event["event"] == "hello":
                hello = time.monotonic() - start
            if event["event"] in ("result", "error"):
                if hello is None:
                    raise SystemExit(f"our VMM did not boot: {event}")
                return hello, sum(event["exits"]["reasons"].values())
    raise SystemExit("our VMM ended without a result")


@contextlib.contextmanager
def forked(worker: Any) -> Iterator[tuple[int, int]]:
    """A worker process with pipes to its input and from its output; reaped at the end."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(in_write)
        os.close(out_read)
        os._exit(worker.main(in_read, out_write))
    os.close(in_read)
    os.close(out_write)
    try:
        yield in_write, out_read
    finally:
        os.close(in_write)
        os.close(out_read)
        os.waitpid(pid, 0)


def events(fd: int, deadline: float) -> Iterator[dict[str, Any]]:
    """The worker's JSON lines until it ends."""
    pending = b""
    while True:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise SystemExit("our VMM did not finish in time")
        data = os.read(fd, 1 << 16)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        yield from (json.loads(line) for line in lines)


def boot_qemu(job: dict[str, Any]) -> float:
    """Seconds from the start of QEMU to the first bytes of HELLO on its agent port."""
    path = Path("/run") / f"bench-{os.getpid()}.sock"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(BOOT_DEADLINE_S)
    start = time.monotonic()
    child = subprocess.Popen(qemu_argv(job, path), stdin=subprocess.DEVNULL)
    try:
        connection, _ = listener.accept()
        connection.settimeout(BOOT_DEADLINE_S)
        if not connection.recv(1):
            raise SystemExit("QEMU ended before its guest said hello")
        seconds = time.monotonic() - start
        connection.close()
        return seconds
    finally:
        child.kill()
        child.wait(10)
        listener.close()
        path.unlink(missing_ok=True)


def qemu_argv(job: dict[str, Any], agent: Path) -> tuple[str, ...]:
    """The leanest QEMU machine that has what ours has."""
    return (
        *("qemu-system-x86_64", "-M", "microvm,acpi=off", "-accel", "kvm", "-cpu", "host"),
        *("-smp", "1", "-m", f"{job['memory_mib']}M"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-nographic", "-serial", "null"),
        *("-chardev", f"socket,id=agent,path={agent}", "-device", "virtio-serial-device"),
        *("-device", "virtserialport,chardev=agent,name=org.toolskvm.agent"),
        *("-kernel", job["kernel"], "-initrd", job["initrd"], "-append", job["cmdline"]),
    )


if __name__ == "__main__":
    sys.exit(main())
