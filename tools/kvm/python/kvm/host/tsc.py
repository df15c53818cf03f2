# SPDX-License-Identifier: GPL-2.0-only
"""The rate of this computer's time stamp counter, for the lab host's command line.

QEMU's TCG lets a machine read the real counter. On a busy computer Linux in it fails to
calibrate the counter against the emulated PIT, declares it unstable and then runs on jiffies,
without high-resolution timers: 4 ms per sleep. So we pass the rate (``tsc_early_khz=``),
measured once per boot of this computer, in 0.1 s.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable
from pathlib import Path

from kvm.host.identity import boot_id

# rdtsc; shl rdx, 32; or rax, rdx; ret
_RDTSC = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
_SPAN_S = 0.03
_SPANS = 3
_READINGS = 50


def tsc_khz(cache: Path) -> int | None:
    """The rate from the cache, or measured now; None if code can't be made executable."""
    record = cache / "tsc" / boot_id()
    try:
        return int(record.read_text())
    except (OSError, ValueError):
        pass
    try:
        khz = measure_khz()
    except (OSError, PermissionError):
        return None
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(str(khz))
    return khz


def measure_khz() -> int:
    """The median of a few short spans."""
    with mmap.mmap(
        -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ) as page:
        page.write(_RDTSC)
        anchor = ctypes.c_char.from_buffer(page)
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(anchor))
        spans = sorted(_span_khz(read) for _ in range(_SPANS))
        del anchor
    return spans[_SPANS // 2]


def _span_khz(read: Callable[[], int]) -> int:
    first_ns, first = _reading(read)
    time.sleep(_SPAN_S)
    last_ns, last = _reading(read)
    return (last - first) * 1_000_000 // (last_ns - first_ns)


def _reading(read: Callable[[], int]) -> tuple[int, int]:
    """Clock and counter at one moment: the fastest of many readings."""
    tries = []
    for _ in range(_READINGS):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        counter = read()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        tries.append((after - before, (before + after) // 2, counter))
    return min(tries)[1:]
