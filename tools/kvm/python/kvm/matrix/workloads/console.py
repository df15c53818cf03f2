# SPDX-License-Identifier: GPL-2.0-only
"""Consoles: bytes to and from the guest's command, and the kernel's log, arrive complete."""

from __future__ import annotations

import hashlib
import random

from kvm.matrix.workload import Bench, Workload
from kvm.matrix.workloads import exercise

_BULK_BYTES = 4 << 20
# Each byte is an exit, and an emulated KVM loses a guest once in some 100,000.
_LOG_LINES = 120
# Letters that can't spell a kernel's complaint, which would be taken for a real one.
_LETTERS = "abcdefghijkmopqrstvwxyz0123456789_-+=/.,"


def console_bulk(bench: Bench) -> None:
    """Send both ways at once: neither direction may block the other."""
    sent = random.Random(bench.seed).randbytes(_BULK_BYTES)
    done = bench.boot("cat", stdin=sent, quiet_s=30.0)
    came = done.stdout
    bench.check("as many bytes", len(came) == len(sent), f"{len(came)} of {len(sent)}")
    bench.check("the same bytes", came == sent, _first_difference(sent, came, bench.seed))
    bench.check("nothing on stderr", not done.stderr, f"{len(done.stderr)} bytes")
    bench.measured("console_bulk_s", done.record.timings.command or 0.0)
    _check_digest(bench, sent)


def _check_digest(bench: Bench, sent: bytes) -> None:
    """Send in one direction only, in odd sizes, and let the guest check what arrives."""
    odd = sent[: (64 << 10) + 7]
    done = bench.boot("sha256sum", stdin=odd)
    wanted = hashlib.sha256(odd).hexdigest()
    came = (done.text.split() or [""])[0]
    bench.check("the guest reads what was sent", came == wanted, f"sha256 {came}, {wanted} sent")


def _first_difference(sent: bytes, came: bytes, seed: int) -> str:
    if sent == came:
        return f"{len(sent)} bytes, seed {seed}"
    length = min(len(sent), len(came))
    low, high = 0, length
    while low < high:  # the longest common prefix, by bisection
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sent[:middle] == came[:middle] else (low, middle - 1)
    return f"they part at byte {low}: {came[low : low + 8].hex()}, {sent[low : low + 8].hex()} sent"


def console_log(bench: Bench) -> None:
    chance = random.Random(bench.seed)
    lines = [
        f"line {number:04d} " + "".join(chance.choices(_LETTERS, k=chance.randrange(1, 240)))
        for number in range(_LOG_LINES)
    ]
    # The level that every console shows, and no rate limit for the program.
    stdin = "".join(f"<1>{line}\n" for line in lines).encode()
    script = "echo 8 >/proc/sys/kernel/printk; exercise kmsg"
    done = exercise.run(bench, script, stdin=stdin, append="printk.devkmsg=on loglevel=8")
    shown = [line[at:] for line in done.console.splitlines() if (at := line.find("line ")) >= 0]
    came = [line for line in shown if line[5:9].isdigit()]
    missing = sorted(set(lines) - set(came))
    bench.check(
        "each line is on the console",
        not missing,
        f"{len(missing)} of {len(lines)} missing (seed {bench.seed}): {missing[:1]}",
    )
    bench.check("in order and once", came == lines, f"{len(came)} lines came, {len(lines)} sent")


WORKLOADS = (
    Workload("console_bulk", console_bulk, "4 MiB through the agent's port and back, whole", 90.0),
    Workload("console_log", console_log, "the kernel's console loses and mangles no line", 60.0),
)
