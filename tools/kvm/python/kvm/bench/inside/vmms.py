# SPDX-License-Identifier: GPL-2.0-only
"""The machines that a bench compares: ours in a forked worker, QEMU's as a child.

A machine that fails ends with ``Lost``; ``steady`` then starts it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kvm.guest.protocol import FrameDecoder, FrameType, encode, encode_run
from kvm.vm import worker

T = TypeVar("T")
MICROVM = ("-M", "microvm,acpi=off", "-global", "virtio-mmio.force-legacy=false")
DEBUGFS = Path("/sys/kernel/debug")
_RETRIES = 2
_REAP_S = 10.0


class Lost(Exception):
    """A machine that did not do its work, with what is known of the cause."""


def steady(attempt: Callable[[], T]) -> T:
    """Repeat a lost boot: emulated SVM loses a guest once in a hundred boots."""
    for _ in range(_RETRIES):
        try:
            return attempt()
        except Lost as lost:
            print(f"{lost}; again", flush=True)
    return attempt()


def mount_debugfs() -> None:
    """Mount debugfs, which has KVM's counters."""
    if not (DEBUGFS / "kvm").is_dir():
        subprocess.run(("mount", "-t", "debugfs", "none", DEBUGFS), check=True, timeout=20)


@contextlib.contextmanager
def beside(*words: str) -> Iterator[None]:
    """A program that runs on the host meanwhile."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.kill()
        child.wait(_REAP_S)


def our_events(
    spec: Mapping[str, Any], argv: Sequence[str], deadline: float
) -> Iterator[dict[str, Any]]:
    """A worker's events, to the end; it is forked, as the lab's agent does it.

    The first event is ours: ``forked``, with the worker's ``pid``.
    """
    request = {"spec": spec, "run": {"argv": argv, "tty": False, "env": {}}}
    with _forked() as (pid, to_worker, from_worker):
        yield {"event": "forked", "pid": pid}
        os.write(to_worker, json.dumps(request).encode() + b"\n")
        yield from _events(from_worker, deadline)


@contextlib.contextmanager
def idle_worker() -> Iterator[int]:
    """The pid of a worker's process that does nothing yet."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        time.sleep(0.2)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _forked() -> Iterator[tuple[int, int, int]]:
    """A worker process: its pid, pipes to its input and from its output; reaped at the end."""
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
        yield pid, in_write, out_read
    finally:
        os.close(in_write)
        os.close(out_read)
        os.waitpid(pid, 0)


def _events(fd: int, deadline: float) -> Iterator[dict[str, Any]]:
    """The worker's JSON lines until it ends."""
    pending = b""
    while True:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Lost("our VMM did not finish in time")
        data = os.read(fd, 1 << 16)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        yield from (json.loads(line) for line in lines)


def agent_stdout(agent: socket.socket, argv: Sequence[str], deadline: float) -> Iterator[bytes]:
    """Talk to the init in QEMU's guest as our worker does; yield the command's output."""
    decoder = FrameDecoder()
    while time.monotonic() < deadline:
        data = agent.recv(1 << 16)
        if not data:
            raise Lost("QEMU ended before its guest's command did")
        for frame in decoder.feed(data):
            if frame.type is FrameType.HELLO:
                agent.sendall(encode_run(argv))
            elif frame.type is FrameType.STDOUT:
                yield frame.payload
            elif frame.type is FrameType.EXIT:
                agent.sendall(encode(FrameType.POWEROFF))
                return
    raise Lost("QEMU's guest did not finish in time")


def qemu_devices(image: Path, disk: str, net: str) -> tuple[str, ...]:
    """QEMU's words for a raw disk and a user network."""
    return (
        *("-drive", f"if=none,id=disk,format=raw,file={image}", "-device", disk),
        *("-netdev", "user,id=net", "-device", net),
    )


@contextlib.contextmanager
def qemu(
    machine: Sequence[str], job: Mapping[str, Any], port_bus: str, *, patience_s: float
) -> Iterator[tuple[int, socket.socket]]:
    """QEMU on KVM with the job's kernel; its pid and the host's end of its guest's agent port."""
    path = Path("/run") / f"bench-{os.getpid()}.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(patience_s)
        words = _qemu_words(machine, job, port_bus, path)
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(patience_s)
                yield child.pid, connection
        except TimeoutError:
            raise Lost("QEMU or its guest said nothing in time") from None
        finally:
            child.kill()
            child.wait(_REAP_S)
            path.unlink(missing_ok=True)


def _qemu_words(
    machine: Sequence[str], job: Mapping[str, Any], port_bus: str, agent: Path
) -> tuple[str, ...]:
    """The leanest QEMU machine that has what ours has."""
    return (
        *("qemu-system-x86_64", *machine, "-accel", "kvm", "-cpu", "host"),
        *("-smp", "1", "-m", f"{job['memory_mib']}M"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-nographic", "-serial", "null"),
        *("-chardev", f"socket,id=agent,path={agent}", "-device", port_bus),
        *("-device", "virtserialport,chardev=agent,name=org.toolskvm.agent"),
        *("-kernel", job["kernel"], "-initrd", job["initrd"], "-append", job["cmdline"]),
    )
