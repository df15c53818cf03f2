# SPDX-License-Identifier: GPL-2.0-only
"""QEMU accepts the images that workloads make, and they read back unchanged."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from kvm import process
from kvm.matrix import qcow2

_MIB = 1 << 20


def test_an_empty_image_shows_its_backing_file(tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    qcow2.create(image, 2 * _MIB, tmp_path / "base")
    assert qcow2.content(image, b"x" * 1000) == (b"x" * 1000).ljust(2 * _MIB, b"\0")


def test_a_cluster_that_is_not_counted_is_found(tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    qcow2.create(image, _MIB)
    with image.open("r+b") as stream:
        stream.seek(3 * qcow2.CLUSTER)
        stream.write(struct.pack(">Q", 4 * qcow2.CLUSTER | 1 << 63))
        stream.truncate(5 * qcow2.CLUSTER)
    with pytest.raises(ValueError, match="counted 0 times"):
        qcow2.content(image)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_qemu_takes_what_is_made_and_reads_it_alike(tmp_path: Path) -> None:
    base, image, raw = tmp_path / "base.raw", tmp_path / "disk.qcow2", tmp_path / "out.raw"
    base.write_bytes(bytes(range(256)) * (_MIB // 256))
    qcow2.create(image, 2 * _MIB, base)
    process.run(("qemu-img", "check", image), timeout_s=60)
    process.run(("qemu-img", "convert", "-O", "raw", image, raw), timeout_s=60)
    assert qcow2.content(image, base.read_bytes()) == raw.read_bytes()
