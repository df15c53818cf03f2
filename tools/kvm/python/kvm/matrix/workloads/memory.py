# SPDX-License-Identifier: GPL-2.0-only
"""Memory: the guest has as much as it should, it keeps what is written, and use leaks none."""

from __future__ import annotations

import re

from kvm.matrix.pattern import pattern
from kvm.matrix.workload import Bench, Workload, as_disk
from kvm.matrix.workloads import exercise

_PERCENT = 80  # of the available memory
# Page structures (1/64 of all), the kernel, its initramfs: these are not in MemTotal.
_RESERVE_MIB = 24
_LEAK_ROUNDS = 3
_BELOW_1_MIB = (0x1000, 0x9FC00)  # without page 0, up to the EBDA
_LOW_END = 3 << 30
_HIGH_START = 4 << 30


def memory(bench: Bench) -> None:
    asked = bench.cell.memory_mib
    script = f"cat /proc/iomem; grep MemTotal: /proc/meminfo; exercise memory {_PERCENT}"
    done = exercise.run(bench, script)
    found = re.search(r"MemTotal:\s+(\d+) kB", done.text)
    total = int(found[1]) // 1024 if found else 0
    least = asked - asked // 32 - _RESERVE_MIB
    bench.check("MemTotal", least <= total <= asked, f"{total} MiB, {least} to {asked} expected")
    ranges = _system_ram(done.text)
    shown = ", ".join(f"{start:#x}-{end:#x}" for start, end in ranges)
    bench.check("memory map", ranges == _expected_map(asked), f"System RAM {shown}")
    touched = int(exercise.figures(done.text, "memory").get("touched_mib", "0"))
    most = total * _PERCENT // 100 * 3 // 4
    bench.check("most of it was used", touched >= most, f"{touched} of {total} MiB")


def _system_ram(iomem: str) -> list[tuple[int, int]]:
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM$", iomem, re.MULTILINE)
    return [(int(start, 16), int(end, 16) + 1) for start, end in found]


def _expected_map(mib: int) -> list[tuple[int, int]]:
    """The VMM's e820 table, without the page that the kernel keeps for itself."""
    size = mib << 20
    ranges = [_BELOW_1_MIB, (0x100000, min(size, _LOW_END))]
    if size > _LOW_END:
        ranges.append((_HIGH_START, _HIGH_START + size - _LOW_END))
    return ranges


def leak(bench: Bench) -> None:
    image = bench.new_disk("leak", 1)
    image.write_bytes(pattern(bench.seed, 0, 1 << 20))
    exercise.run(
        bench,
        f"exercise leak /dev/vda {_LEAK_ROUNDS}",
        disks=(as_disk(image),),
        quiet_s=40.0,
    )


WORKLOADS = (
    Workload("memory", memory, "memory has its size and map, and keeps what is written", 90.0),
    Workload("leak", leak, "repeated disk, entropy, file and process work loses no memory", 120.0),
)
