# SPDX-License-Identifier: GPL-2.0-only
"""qcow2 images: the guest's disk, the file's tables, and a backing file that must not change."""

from __future__ import annotations

from pathlib import Path

from kvm.matrix import qcow2
from kvm.matrix.pattern import describe, pattern
from kvm.matrix.workload import Bench, Workload, as_disk
from kvm.matrix.workloads import exercise

_MIB = 1 << 20
_SIZE = 6 * _MIB
_FILL = (0x31200, 0x240600)  # begins and ends inside a cluster
_QUIET_S = 30.0


def blk_qcow2(bench: Bench) -> None:
    """Writes over a backing file, a discard, then a second machine on the same image."""
    base = bench.new_disk("base", 4)
    base.write_bytes(pattern(bench.seed, 0, 4 * _MIB))
    image = _image(bench, base)
    start, length = _FILL
    # Another seed, so that the written data differs from the backing file's.
    write = (
        f"exercise verify /dev/vda {bench.seed} 0 {4 * _MIB} 65536; "
        f"exercise fill /dev/vda {bench.seed + 1} {start} {length} 65536; "
        f"exercise discard /dev/vda {4 * _MIB} {_MIB}"
    )
    bench.say("writing")
    exercise.run(bench, write, disks=(as_disk(image, format="qcow2"),), quiet_s=_QUIET_S)
    try:
        content, words = qcow2.content(image, base.read_bytes()), ""
    except ValueError as error:
        content, words = b"", str(error)
    bench.check("the image's tables and counts are right", not words, words)
    for name, at, end, seed in (
        ("before", 0, start, bench.seed),
        ("in", start, start + length, bench.seed + 1),
        ("behind", start + length, 4 * _MIB, bench.seed),
    ):
        right, note = describe(content[at:end], seed, at)
        bench.check(f"sectors {name} what was written", right, note)
    bench.check("the backing file is as it was", describe(base.read_bytes(), bench.seed)[0])
    bench.say("a second machine")
    verify = (
        f"exercise verify /dev/vda {bench.seed} 0 {start} 65536; "
        f"exercise verify /dev/vda {bench.seed + 1} {start} {length} 65536; "
        "mke2fs -q /dev/vda >/dev/null; mkdir -p /mnt/d; mount -t ext4 /dev/vda /mnt/d; "
        f"exercise files-write /mnt/d {bench.seed} 16; umount /mnt/d; "
        "mount -t ext4 /dev/vda /mnt/d; "
        f"exercise files-verify /mnt/d {bench.seed} 16; umount /mnt/d"
    )
    exercise.run(bench, verify, disks=(as_disk(image, format="qcow2"),), quiet_s=_QUIET_S)


def _image(bench: Bench, base: Path) -> Path:
    image = bench.new_disk("overlay", 0)
    qcow2.create(image, _SIZE, base)
    return image


WORKLOADS = (Workload("blk_qcow2", blk_qcow2, "a qcow2 image on a backing file is a disk", 120.0),)
