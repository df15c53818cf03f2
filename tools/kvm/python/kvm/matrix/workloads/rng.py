# SPDX-License-Identifier: GPL-2.0-only
"""The entropy device: it exists if it should, and fills what it says it filled."""

from __future__ import annotations

from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise

_KIB = 24
_REQUEST_BYTES = 64  # the driver requests this much at a time
_CURRENT = "/sys/class/misc/hw_random/rng_current"


def rng(bench: Bench) -> None:
    if not bench.cell.rng:
        _check_absence(bench)
        return
    firsts = []
    for turn in (1, 2):
        bench.say(f"machine {turn} of 2")
        script = f"cat {_CURRENT}; {_irq_line()}; exercise hwrng {_KIB}; {_irq_line()}"
        done = exercise.run(bench, script)
        current = (done.text.split() or [""])[0]
        bench.check("the source is the device", current.startswith("virtio_rng"), current)
        firsts.append(exercise.figures(done.text, "hwrng").get("first", ""))
        _check_requests(bench, done.text)
    differ = len(set(firsts)) == 2 and all(firsts)
    bench.check("two machines get different bytes", differ, ", ".join(firsts))


def _irq_line() -> str:
    """The queue's line of /proc/interrupts; with PCI each queue has a vector with its name."""
    device = "$(cd /sys/bus/virtio/drivers/virtio_rng && echo virtio*)"
    return f'echo irq $(grep -E "{device}(-input)?\\$" /proc/interrupts)'


def _check_requests(bench: Bench, text: str) -> None:
    """Check that each full buffer had one interrupt: devices that fill less need more."""
    counts = [_sum(line) for line in text.splitlines() if line.startswith("irq ")]
    seen = counts[-1] - counts[0] if len(counts) == 2 else 0
    # The odd sizes of the exercise, and what the kernel reads for its own pool.
    least, most = _KIB * 1024 // _REQUEST_BYTES, _KIB * 1024 // _REQUEST_BYTES + 250
    bench.check(
        "each request is filled", least * 9 // 10 <= seen <= most, f"{seen} of {least} to {most}"
    )


def _sum(line: str) -> int:
    total = 0
    for word in line.split(":", 1)[-1].split():
        if not word.isdigit():
            break
        total += int(word)
    return total


def _check_absence(bench: Bench) -> None:
    look = (
        "ls /sys/bus/virtio/drivers/virtio_rng | grep -c ^virtio || true; "
        f"cat {_CURRENT} 2>/dev/null || echo none; "
        "if dd if=/dev/hwrng bs=16 count=1 2>/dev/null | grep -q .; then echo some; "
        "else echo nothing; fi; dd if=/dev/urandom bs=1k count=64 2>/dev/null | wc -c"
    )
    done = bench.boot("sh", "-c", look)
    words = (done.text.split() + [""] * 4)[:4]
    bench.check("no device is bound", words[0] == "0", words[0])
    bench.check("no source is current", words[1] == "none", words[1])
    bench.check("/dev/hwrng gives nothing", words[2] == "nothing", words[2])
    bench.check("/dev/urandom works without it", words[3] == "65536", f"{words[3]} bytes")


WORKLOADS = (
    Workload("rng", rng, "entropy comes from the device, whole and different each time", 60.0),
)
