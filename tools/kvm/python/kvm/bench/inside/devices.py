# SPDX-License-Identifier: GPL-2.0-only
"""Lets each side's guest use its devices, and counts the VM exits meanwhile.

The guest reports when a step begins and ends; the exits in between are KVM's own count (debugfs,
``kvm/exits``), the same for every VMM.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from binascii import a2b_base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kvm.bench.inside.vmms import (
    DEBUGFS,
    MICROVM,
    Lost,
    agent_stdout,
    beside,
    mount_debugfs,
    our_events,
    qemu,
    qemu_devices,
    steady,
)

_EXITS = DEBUGFS / "kvm" / "exits"
_DEADLINE_S = 240.0
_MIB = 1 << 20


class Step(NamedTuple):
    """The report of ``exercise`` on one step, and the exits meanwhile."""

    name: str
    lines: list[str]
    exits: int


class Steps:
    """Parses the guest's output as it comes."""

    def __init__(self) -> None:
        self.done: list[Step] = []
        self._name = ""
        self._lines: list[str] = []
        self._before = 0
        self._pending = b""

    def feed(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        word, _, name = line.partition(" ")
        if word == "begin":
            self._name, self._lines, self._before = name, [], int(_EXITS.read_text())
        elif word == "end":
            after = int(_EXITS.read_text())
            self.done.append(Step(self._name, self._lines, after - self._before))
        else:
            self._lines.append(line)


def main(job: dict[str, Any]) -> None:
    """Run the sides alternately; before the first run, only the image is warm."""
    mount_debugfs()
    sides: dict[str, Callable[[Path], Steps]] = {
        "ours-mmio": lambda image: _ours(job, image, "mmio"),
        "ours-pci": lambda image: _ours(job, image, "pci"),
        "qemu-microvm": lambda image: _qemu_microvm(job, image),
        "qemu-q35": lambda image: _qemu_q35(job, image),
    }
    found: dict[str, list[list[Step]]] = {name: [] for name in sides}
    with _image(job["disk_mib"]) as image:
        for number in range(job["runs"]):
            for name in list(sides)[:: -1 if number % 2 else 1]:
                begun = time.monotonic()
                steps = steady(lambda name=name: _run(sides[name], image, job))  # type: ignore[misc]
                print(f"run {number + 1}: {name}, {time.monotonic() - begun:.1f} s", flush=True)
                found[name].append(steps)
    print(json.dumps(found))


def _run(side: Callable[[Path], Steps], image: Path, job: dict[str, Any]) -> list[Step]:
    """One boot with a server for its streams; it is lost unless every step was completed."""
    with beside(job["exercise"], "stream-serve", f"tcp:127.0.0.1:{job['port']}"):
        steps = side(image).done
    if [step.name for step in steps] != job["steps"]:
        raise Lost(f"the guest did {[step.name for step in steps]} of {job['steps']}")
    return steps


@contextlib.contextmanager
def _image(mib: int) -> Iterator[Path]:
    """A disk image without holes, in the host's page cache."""
    path = Path("/run") / f"bench-{os.getpid()}.raw"
    try:
        with path.open("wb") as stream:
            for _ in range(mib):
                stream.write(os.urandom(_MIB))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _ours(job: dict[str, Any], image: Path, transport: str) -> Steps:
    spec = {
        "kernel": job["kernel"],
        "initrd": job["initrd"],
        "cmdline": job["cmdline"] + (" pci=off" if transport == "mmio" else ""),
        "memory_mib": job["memory_mib"],
        "rng": False,
        "guest_events": "none",
        "transport": transport,
        "disks": [{"path": str(image), "read_only": False}],
        "nets": [job["net"]],
    }
    steps = Steps()
    for event in our_events(spec, job["command"], time.monotonic() + _DEADLINE_S):
        if event["event"] == "stdout":
            steps.feed(a2b_base64(event["data"]))
        if event["event"] == "error":
            raise Lost(f"our VMM: {event}")
    return steps


def _qemu_microvm(job: dict[str, Any], image: Path) -> Steps:
    machine = (
        *MICROVM,
        *qemu_devices(image, "virtio-blk-device,drive=disk", "virtio-net-device,netdev=net"),
    )
    return _qemu(job, machine, "virtio-serial-device")


def _qemu_q35(job: dict[str, Any], image: Path) -> Steps:
    modern = "disable-legacy=on"
    machine = (
        *("-M", "q35"),
        *qemu_devices(
            image,
            f"virtio-blk-pci,drive=disk,{modern}",
            f"virtio-net-pci,netdev=net,romfile=,{modern}",
        ),
    )
    return _qemu(job, machine, f"virtio-serial-pci,{modern}")


def _qemu(job: dict[str, Any], machine: tuple[str, ...], port_bus: str) -> Steps:
    steps = Steps()
    with qemu(machine, job, port_bus, patience_s=60.0) as (_, agent):
        for data in agent_stdout(agent, job["command"], time.monotonic() + _DEADLINE_S):
            steps.feed(data)
    return steps
