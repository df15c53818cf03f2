# SPDX-License-Identifier: GPL-2.0-only
"""Disks: the image holds what a guest wrote, whatever happens to the machine.

The guest checks with ``exercise``, bypassing its page cache; this side checks the image itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from kvm.matrix.pattern import SECTOR, describe, pattern
from kvm.matrix.workload import Bench, Workload, as_disk
from kvm.matrix.workloads import exercise
from kvm.spec.disk import DiskSpec

_MIB = 1 << 20
_FILES = 48
_RAW_BYTES = 512 * 1024
_SEGMENTS = "126"  # a ring of 128, minus the header and the status
_SOAK_S = 60
_SETTLED_S = 30.0  # a slow disk under the lab host delays the guest


def blk_integrity(bench: Bench) -> None:
    """Synced data outlives the VMM; its write cache, which is not synced, is lost with it."""
    files, raw = bench.new_disk("files", 8), bench.new_disk("raw", 1)
    bench.say("writing, then killing the VMM")
    write = (
        "mke2fs -q /dev/vda >/dev/null; mkdir -p /mnt/d; mount -t ext4 /dev/vda /mnt/d; "
        f"exercise files-write /mnt/d {bench.seed} {_FILES}; "
        f"exercise fill /dev/vdb {bench.seed} 0 {_RAW_BYTES} 65536; "
        "echo SYNCED; sleep 30"
    )
    disks = (
        as_disk(files, volatile=True),
        as_disk(raw, volatile=True),
    )
    first = exercise.run(bench, write, disks=disks, kill_on=b"SYNCED", quiet_s=_SETTLED_S)
    bench.check("the VMM was killed after the sync", b"SYNCED" in first.stdout)
    right, words = describe(raw.read_bytes()[:_RAW_BYTES], bench.seed)
    bench.check("flushed sectors are in the image", right, words)
    bench.say("looking for all that was synced")
    verify = (
        "mkdir -p /mnt/d; mount -t ext4 /dev/vda /mnt/d; "
        f"exercise files-verify /mnt/d {bench.seed} {_FILES}; "
        f"exercise verify /dev/vdb {bench.seed} 0 {_RAW_BYTES} 131072; "
        "umount /mnt/d; cat /sys/block/vda/cache_type"
    )
    second = exercise.run(bench, verify, disks=disks, quiet_s=_SETTLED_S)
    bench.check("the disk says it has a write cache", "write back" in second.text)


def blk_discard(bench: Bench) -> None:
    """Discards and zeroes cover their range exactly."""
    image, size = bench.new_disk("discard", 2), 2 * _MIB
    image.write_bytes(pattern(bench.seed, 0, size))
    # Both begin and end inside a page.
    zero, discard = (0x41200, 0x20400), (0x100600, 0x50800)
    middle = zero[0] + zero[1]
    script = (
        "cd /sys/block/vda/queue; cat discard_max_bytes write_zeroes_max_bytes; "
        f"exercise zero /dev/vda {zero[0]} {zero[1]}; "
        f"exercise discard /dev/vda {discard[0]} {discard[1]}; "
        f"exercise zeroes /dev/vda {zero[0]} {zero[1]}; "
        f"exercise verify /dev/vda {bench.seed} 0 {zero[0]} 65536; "
        f"exercise verify /dev/vda {bench.seed} {middle} {discard[0] - middle} 65536"
    )
    done = exercise.run(bench, script, disks=(as_disk(image),))
    limits = [int(word) for word in done.text.split()[:2] if word.isdigit()]
    bench.check(
        "limits of discard and write zeroes", len(limits) == 2 and min(limits) > 0, f"{limits}"
    )
    content = image.read_bytes()
    zeroed = content[zero[0] : middle]
    bench.check("the image has the zeroes", zeroed == bytes(zero[1]), f"{zero[1]} bytes")
    bench.check("the image kept its size", len(content) == size, f"{len(content)} of {size}")
    for name, start, end in (
        ("before the zeroes", 0, zero[0]),
        ("between zeroes and discard", middle, discard[0]),
        ("after the discard", sum(discard), size),
    ):
        right, words = describe(content[start:end], bench.seed, start)
        bench.check(f"sectors {name} are untouched", right, words)


def blk_readonly(bench: Bench) -> None:
    image = bench.new_disk("readonly", 1)
    content = pattern(bench.seed, 0, _MIB)
    image.write_bytes(content)
    script = (
        "cat /sys/block/vda/ro; blockdev --getro /dev/vda; "
        "blockdev --setrw /dev/vda 2>/dev/null || true; "
        "if dd if=/dev/zero of=/dev/vda bs=4096 count=1 conv=fsync 2>/dev/null; "
        "then echo written; else echo refused; fi; "
        "if blkdiscard -o 0 -l 4096 /dev/vda 2>/dev/null; then echo discarded; else echo kept; fi; "
        f"exercise verify /dev/vda {bench.seed} 0 {_MIB} 65536"
    )
    done = exercise.run(bench, script, disks=(as_disk(image, read_only=True),))
    words = (done.text.split() + [""] * 4)[:4]
    bench.check("the disk shows that it is read-only", words[:2] == ["1", "1"], f"{words[:2]}")
    bench.check("a write is refused", words[2] == "refused", words[2])
    bench.check("a discard is refused", words[3] == "kept", words[3])
    right, note = describe(image.read_bytes(), bench.seed)
    bench.check("the image is as it was", right, note)


def blk_writers(bench: Bench) -> None:
    size = 3 * _MIB + 7 * SECTOR
    image = bench.new_disk("writers", 3)
    _resize(image, size)
    script = f"exercise writers /dev/vda {bench.seed} {size}"
    exercise.run(bench, script, disks=(as_disk(image),), quiet_s=_SETTLED_S)
    content = image.read_bytes()
    bench.check("the image kept its size", len(content) == size, f"{len(content)} of {size}")
    right, words = describe(content, bench.seed + 1)
    bench.check("the image holds what was written", right, words)


def blk_soak(bench: Bench) -> None:
    """The writers for a minute; each round overwrites the previous one."""
    size = 8 * _MIB + 3 * SECTOR
    image = bench.new_disk("soak", 8)
    _resize(image, size)
    script = (
        f"s={bench.seed}; end=$(($(cut -d. -f1 /proc/uptime) + {_SOAK_S})); "
        "while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do "
        f"s=$((s + 2)); exercise writers /dev/vda $s {size}; done; echo last $s"
    )
    done = exercise.run(bench, script, disks=(as_disk(image),), quiet_s=_SETTLED_S)
    last = re.search(r"^last (\d+)$", done.text, re.MULTILINE)
    bench.check("the minute was full", last is not None)
    if last is not None:
        rounds = (int(last[1]) - bench.seed) // 2
        right, words = describe(image.read_bytes(), int(last[1]) + 1)
        bench.check("the image holds what was written last", right, f"{rounds} rounds; {words}")


def blk_geometry(bench: Bench) -> None:
    """The sizes of several disks, odd ones too, and each disk's own content and name."""
    sizes = (SECTOR, 3 * SECTOR, 4096, 123457 * SECTOR, 2 * _MIB, 5 << 30)
    disks: list[DiskSpec] = []
    for number, size in enumerate(sizes):
        image = bench.new_disk(f"geo{number}", 0)
        _resize(image, size)
        with image.open("r+b") as stream:
            stream.seek(size - SECTOR)
            stream.write(pattern(bench.seed + number, size - SECTOR, SECTOR))
        disks.append(as_disk(image))
    lines = [
        f"d=vd{chr(ord('a') + number)}; cd /sys/block/$d; "
        "echo $d $(cat size) $(cat serial) $(cat queue/logical_block_size queue/max_segments ro); "
        f"exercise verify /dev/$d {bench.seed + number} {size - SECTOR} {SECTOR} {SECTOR}; "
        # The sector behind the last.
        f"if dd if=/dev/$d of=/dev/null bs={SECTOR} skip={size // SECTOR} count=1 2>&1 | "
        "grep -q '^0+0 records in'; then echo end; else echo beyond; fi"
        for number, size in enumerate(sizes)
    ]
    done = exercise.run(bench, "; ".join(lines), disks=disks)
    shown = [line.split() for line in done.text.splitlines() if line.startswith("vd")]
    for number, size in enumerate(sizes):
        words = (shown[number] if number < len(shown) else []) + [""] * 6
        name, image = words[0], disks[number].path
        wanted = [str(size // SECTOR), str(SECTOR), _SEGMENTS, "0"]
        seen = [words[1], *words[3:6]]
        bench.check(
            f"disk {number}: size, block size, segments, ro",
            seen == wanted,
            f"{name}: {' '.join(seen)}; {' '.join(wanted)} expected",
        )
        # If it is staged for another host, an image has a longer name.
        bench.check(f"disk {number}: serial", words[2].endswith(image.name), words[2])
    ends = [line for line in done.text.splitlines() if line in ("end", "beyond")]
    bench.check("no sector behind the last", ends == ["end"] * len(sizes), f"{ends}")


def blk_reads(bench: Bench) -> None:
    """Each request has its own interrupt, and rings are used again and again."""
    size, seconds = _MIB, 5
    image = bench.new_disk("reads", 1)
    image.write_bytes(pattern(bench.seed, 0, size))
    look = "basename $(readlink /sys/block/vda/device)"
    script = f"exercise reads /dev/vda {bench.seed} {size} {seconds} $({look})"
    done = exercise.run(bench, script, disks=(as_disk(image, read_only=True),))
    count = int(exercise.figures(done.text, "reads").get("count", "0"))
    bench.check("the ring went round", count >= 4 * 128, f"{count} requests, {count // 128} rounds")


def _resize(image: Path, size: int) -> None:
    with image.open("r+b") as stream:
        stream.truncate(size)


WORKLOADS = (
    Workload(
        "blk_integrity", blk_integrity, "synced files and sectors outlive a killed VMM", 120.0
    ),
    Workload("blk_discard", blk_discard, "discard and write zeroes hit their sectors alone", 60.0),
    Workload(
        "blk_readonly", blk_readonly, "a read-only disk refuses writes and stays as it is", 60.0
    ),
    Workload(
        "blk_writers", blk_writers, "eight parallel writers of many sizes lose nothing", 120.0
    ),
    Workload("blk_soak", blk_soak, "a minute of parallel writers, each byte read back", 240.0),
    Workload(
        "blk_geometry", blk_geometry, "disks of odd sizes have the right fields and end", 60.0
    ),
    Workload("blk_reads", blk_reads, "thousands of reads each get their data and interrupt", 60.0),
)
