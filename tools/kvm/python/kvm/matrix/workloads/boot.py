# SPDX-License-Identifier: GPL-2.0-only
"""The least that a machine must do: boot, run a command and end, with few exits."""

from __future__ import annotations

from kvm.matrix.workload import Bench, Workload
from kvm.run.machine import DEBUG_PORT

# The exits of one vCPU for a whole boot of the default kernel; with PCI two thirds probe devices.
# A kernel without our debug port writes its console to a UART, an exit or more for each byte.
_MAX_EXITS = {"mmio": 800, "pci": 3000}
_LOOK = "uname -r; nproc; ls /sys/bus/virtio/devices | wc -l; cat /proc/uptime; cat /proc/cmdline"


def boot(bench: Bench) -> None:
    cell = bench.cell
    done = bench.boot("sh", "-c", _LOOK, append="quiet")
    record, lines = done.record, done.text.splitlines()
    bench.check("init said hello", record.guest.cpus == cell.vcpus, f"{record.guest.cpus} CPU(s)")
    bench.check(
        "agent's way to the host",
        record.guest.transport == "virtio",
        f"{record.guest.transport or 'none'}, virtio wanted",
    )
    bench.check("the command ran to its end", len(lines) == 5, f"{len(lines)} of 5 lines")
    release, cpus, devices, uptime, cmdline = (*lines, *[""] * 5)[:5]
    bench.check(
        "the kernel is the one that was built",
        bool(release) and record.kernel.release.startswith(release),
        f"{release} of {record.kernel.release}",
    )
    bench.check("CPUs", cpus == str(cell.vcpus), f"{cpus} of {cell.vcpus}")
    wanted = 1 + cell.rng + cell.spare_disks
    bench.check("virtio devices", devices == str(wanted), f"{devices} of {wanted}")
    bench.check("the clock runs", float((uptime.split() or ["0"])[0]) > 0, f"uptime {uptime}")
    lacking = [word for word in cell.append.split() if word not in cmdline.split()]
    bench.check("the command line arrived", not lacking, f"lacking: {lacking}" if lacking else "")
    if cell.vcpus == 1 and cell.config == "default" and DEBUG_PORT in cmdline.split():
        total = record.exits.total
        reasons = ", ".join(f"{name} {count}" for name, count in record.exits.reasons.items())
        most = _MAX_EXITS[cell.transport]
        bench.check("exits", 0 < total <= most, f"{total} of {most}: {reasons}")


WORKLOADS = (
    Workload("boot", boot, "a machine comes up, runs a command and ends, with few exits", 40.0),
)
