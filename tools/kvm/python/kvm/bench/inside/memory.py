# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a VMM's process beyond its guest's, while a guest with all devices idles.

KiB from ``/proc/PID/smaps``: the resident pages of all mappings except the guest's memory.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from kvm.bench.inside.vmms import (
    MICROVM,
    Lost,
    agent_stdout,
    idle_worker,
    our_events,
    qemu,
    qemu_devices,
    steady,
)

_DEADLINE_S = 60.0
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ", re.MULTILINE)
_FIELD = re.compile(r"^(Size|Rss): +(\d+) kB$", re.MULTILINE)


def main(job: dict[str, Any]) -> None:
    """Measure each side once; memory does not vary as time does."""
    image = Path("/run") / f"bench-{os.getpid()}.raw"
    with image.open("wb") as stream:
        stream.truncate(16 << 20)
    try:
        found = {
            "python": _python(),
            "ours": steady(lambda: _ours(job, image)),
            "qemu-microvm": steady(lambda: _qemu(job, image)),
        }
    finally:
        image.unlink()
    print(json.dumps(found))


def _beyond_guest_kib(pid: int, guest_mib: int) -> int:
    """Every mapping's resident pages, except mappings as large as the guest's memory."""
    text = (Path("/proc") / str(pid) / "smaps").read_text()
    total = 0
    for mapping in _MAPPING.split(text)[1:]:
        fields = {name: int(value) for name, value in _FIELD.findall(mapping)}
        if fields["Size"] < guest_mib << 10:
            total += fields["Rss"]
    return total


def _python() -> int:
    """A worker's process before it has made a machine: the interpreter and its imports."""
    with idle_worker() as pid:
        return _beyond_guest_kib(pid, 1 << 20)


def _ours(job: dict[str, Any], image: Path) -> int:
    spec = {
        "kernel": job["kernel"],
        "initrd": job["initrd"],
        "cmdline": job["cmdline"],
        "memory_mib": job["memory_mib"],
        "guest_events": "none",
        "disks": [{"path": str(image), "read_only": False}],
        "nets": [job["net"]],
    }
    pid = 0
    for event in our_events(spec, job["command"], time.monotonic() + _DEADLINE_S):
        if event["event"] == "forked":
            pid = event["pid"]
        if event["event"] == "stdout":
            return _beyond_guest_kib(pid, job["memory_mib"])
    raise Lost("our guest said nothing")


def _qemu(job: dict[str, Any], image: Path) -> int:
    machine = (
        *MICROVM,
        *qemu_devices(image, "virtio-blk-device,drive=disk", "virtio-net-device,netdev=net"),
        *("-device", "virtio-rng-device"),
    )
    with qemu(machine, job, "virtio-serial-device", patience_s=_DEADLINE_S) as (pid, agent):
        for _ in agent_stdout(agent, job["command"], time.monotonic() + _DEADLINE_S):
            return _beyond_guest_kib(pid, job["memory_mib"])
    raise Lost("QEMU's guest said nothing")
