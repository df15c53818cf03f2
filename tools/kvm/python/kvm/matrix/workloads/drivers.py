# SPDX-License-Identifier: GPL-2.0-only
"""Drivers are unbound from their devices and bound again, idle and under load."""

from __future__ import annotations

from kvm.matrix.pattern import describe, pattern
from kvm.matrix.workload import Bench, Workload, as_disk
from kvm.matrix.workloads import exercise

_TURNS = 4
_SIZE = 1 << 20
_TAKE = 256 * 1024
_BLK = "/sys/bus/virtio/drivers/virtio_blk"
_RNG = "/sys/bus/virtio/drivers/virtio_rng"
# This workload's disk comes before the cell's spare ones.
_FIRST = "$(basename $(readlink /sys/block/vda/device))"
_STOP = "/tmp/stop"
_WAIT = "n=0; while [ ! -b /dev/vda ] && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done; "


def drivers(bench: Bench) -> None:
    """Each turn writes another part of the disk, so that writes of a stale queue would show."""
    image = bench.new_disk("drivers", 1)
    image.write_bytes(pattern(bench.seed, 0, _SIZE))
    script = [f"d={_FIRST}; "]
    for turn in range(_TURNS):
        at, seed = turn * _TAKE, bench.seed + 1 + turn
        script += [
            f"echo $d >{_BLK}/unbind; if [ ! -e /dev/vda ]; then echo gone; fi; ",
            f"echo $d >{_BLK}/bind; {_WAIT}",
            f"exercise fill /dev/vda {seed} {at} {_TAKE} 32768; ",
            f"exercise verify /dev/vda {seed} {at} {_TAKE} 65536; ",
        ]
    if bench.cell.rng:
        script.append(
            f"r=$(ls {_RNG} | grep ^virtio); "
            f"for i in $(seq {_TURNS}); do echo $r >{_RNG}/unbind; echo $r >{_RNG}/bind; "
            "dd if=/dev/hwrng bs=64 count=8 2>/dev/null | wc -c; done"
        )
    done = exercise.run(bench, "".join(script), disks=(as_disk(image),))
    lines = done.text.splitlines()
    gone = lines.count("gone")
    bench.check("the disk goes with its driver", gone == _TURNS, f"{gone} of {_TURNS} times")
    if bench.cell.rng:
        full = lines.count("512")
        bench.check("entropy after each binding", full == _TURNS, f"{full} of {_TURNS} times")
    content = image.read_bytes()
    for turn in range(_TURNS):
        at = turn * _TAKE
        right, words = describe(content[at : at + _TAKE], bench.seed + 1 + turn, at)
        bench.check(f"the image holds what turn {turn + 1} wrote", right, words)


def drivers_load(bench: Bench) -> None:
    """The driver resets its device under reads and writes, which may fail but must not hang."""
    image = bench.new_disk("drivers_load", 1)
    image.write_bytes(pattern(bench.seed, 0, _SIZE))
    half = _SIZE // 2
    # As long as a process has the old disk open, the new one gets the next name.
    name = f"/dev/$(ls {_BLK}/$d/block 2>/dev/null)"
    load = (
        f"while [ ! -e {_STOP} ]; do dd if={name} of=/dev/null bs=4k count=64 iflag=direct "
        "|| true; done </dev/null >/dev/null 2>&1 & "
        f"while [ ! -e {_STOP} ]; do exercise fill {name} {bench.seed} {half} {half} 16384 "
        "|| true; done </dev/null >/dev/null 2>&1 & "
    )
    turn = (
        f"sleep 0.3; echo $d >{_BLK}/unbind; echo $d >{_BLK}/bind; "
        f"n=0; while [ ! -b {name} ] && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done; "
        f"if [ -b {name} ]; then echo back; fi; "
    )
    script = (
        f"d={_FIRST}; {load} {turn * _TURNS}"
        f"touch {_STOP}; wait; "
        f"exercise verify {name} {bench.seed} 0 {half} 65536; "
        f"exercise fill {name} {bench.seed + 1} {half} {half} 65536; "
        f"exercise verify {name} {bench.seed + 1} {half} {half} 65536"
    )
    done = exercise.run(bench, script, disks=(as_disk(image),), quiet_s=30.0)
    back = done.text.splitlines().count("back")
    bench.check("the disk comes back each time", back == _TURNS, f"{back} of {_TURNS} times")
    content = image.read_bytes()
    for name, start, seed in (("untouched", 0, bench.seed), ("written", half, bench.seed + 1)):
        right, words = describe(content[start : start + half], seed, start)
        bench.check(f"the half that was {name} is right in the image", right, words)


WORKLOADS = (
    Workload("drivers", drivers, "drivers are unbound and bound again, and I/O stays right", 90.0),
    Workload("drivers_load", drivers_load, "a device is reset under load without a hang", 90.0),
)
