# SPDX-License-Identifier: GPL-2.0-only
"""The disks of a lab host's machine are claimed here, in the same way as by the VMM."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix import qcow2
from kvm.run.images import Backing, backing_of, claim
from kvm.spec.disk import DiskSpec


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(512))
    return path


@contextlib.contextmanager
def claimed(*disks: DiskSpec) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        for disk in disks:
            claim(disk, held)
        yield


@contextlib.contextmanager
def flocked(path: Path, how: int) -> Iterator[None]:
    """Lock it as a VMM of this machine does, or any other program."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def refused(disk: DiskSpec) -> str:
    with pytest.raises(UserError) as error, claimed(disk):
        pass
    return str(error.value)


def test_an_image_is_written_by_one_machine(image: Path) -> None:
    with claimed(DiskSpec(image)):
        for other in (DiskSpec(image), DiskSpec(image, read_only=True)):
            assert f"disk {image}: another machine uses it" in refused(other)
    with claimed(DiskSpec(image)):
        pass


def test_readers_share_an_image(image: Path) -> None:
    reader = DiskSpec(image, read_only=True)
    with claimed(reader, reader):
        assert ",ro or ,transient everywhere" in refused(DiskSpec(image))


@pytest.mark.parametrize("how", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_lock_of_anybody_else_is_seen(image: Path, how: int) -> None:
    with flocked(image, how):
        assert f"disk {image}: another machine uses it" in refused(DiskSpec(image))


def test_the_files_below_an_image_are_claimed_for_reading(tmp_path: Path, image: Path) -> None:
    middle, top = tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    (tmp_path / "images").mkdir()
    other = tmp_path / "images" / "other.qcow2"
    qcow2.create(middle, 512, Path("disk.raw"))
    qcow2.create(top, 512, middle)
    _set_backing_format(top)
    qcow2.create(other, 512, Path("../disk.raw"))
    disk = DiskSpec(top, format="qcow2")
    with claimed(disk, DiskSpec(other, format="qcow2"), DiskSpec(image, read_only=True)):
        assert "disk.raw: another machine uses it" in refused(DiskSpec(image))
        assert "middle.qcow2: another" in refused(DiskSpec(middle, format="qcow2"))
    with flocked(image, fcntl.LOCK_EX):
        words = refused(disk)
        assert f"disk {top}, its backing file {image}: another machine uses it" in words
        assert "overlay" in words


def _set_backing_format(image: Path) -> None:
    """Put it above another qcow2 image; those that ``qcow2.create`` makes are above raw files."""
    content = bytearray(image.read_bytes())
    at = content.index(struct.pack(">II", 0xE2792ACA, 3))
    content[at : at + 16] = struct.pack(">II", 0xE2792ACA, 5) + b"qcow2\0\0\0"
    image.write_bytes(content)


def test_relative_names_count_from_the_folder_that_was_given(tmp_path: Path, image: Path) -> None:
    (tmp_path / "links").mkdir()
    top = tmp_path / "links" / "top.qcow2"
    qcow2.create(top, 512, Path("disk.raw"))
    with claimed(DiskSpec(top, format="qcow2", backing_folder=tmp_path)):
        assert "another machine" in refused(DiskSpec(image))


def test_what_is_wrong_with_an_image_is_left_to_the_vmm(tmp_path: Path) -> None:
    loop, lost, short = tmp_path / "loop.qcow2", tmp_path / "lost.qcow2", tmp_path / "short.qcow2"
    qcow2.create(loop, 512, Path("loop.qcow2"))
    _set_backing_format(loop)
    qcow2.create(lost, 512, Path("none.raw"))
    short.write_bytes(b"QFI\xfb")
    for image in (loop, lost, short):
        with claimed(DiskSpec(image, format="qcow2")):
            pass


def test_what_a_lab_host_can_t_be_given_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "no devices" in refused(DiskSpec(tmp_path / "fifo", read_only=True))
    assert "no devices" in refused(DiskSpec(Path("/dev/null")))
    assert "No such file" in refused(DiskSpec(tmp_path / "none"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_an_image_that_can_t_be_written_is_an_error_with_the_fix(image: Path) -> None:
    image.chmod(0o444)
    assert f"use {image},ro" in refused(DiskSpec(image))


def test_a_claim_ends_with_the_command_that_is_killed(image: Path) -> None:
    script = (
        "import contextlib, sys, time; from pathlib import Path\n"
        "from kvm.run.images import claim; from kvm.spec.machine import DiskSpec\n"
        "held = contextlib.ExitStack(); claim(DiskSpec(Path(sys.argv[1])), held)\n"
        "print('claimed', flush=True); time.sleep(60)\n"
    )
    argv = (sys.executable, "-c", script, str(image))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        try:
            assert "another machine uses it" in refused(DiskSpec(image))
        finally:
            other.kill()
        other.wait(20)
        with claimed(DiskSpec(image)):
            pass


def _header(version: int, *, offset: int, length: int, rest: bytes) -> bytes:
    head = struct.pack(">4sIQI", b"QFI\xfb", version, offset, length)
    size = 104 if version == 3 else 72
    head = head.ljust(size, b"\0")
    if version == 3:
        head = head[:100] + struct.pack(">I", size)
    return head + rest


_RAW = struct.pack(">II8sII", 0xE2792ACA, 3, b"raw", 0, 0)


def test_the_name_below_is_read_from_both_versions() -> None:
    for version, size in ((2, 72), (3, 104)):
        start = _header(version, offset=size + len(_RAW), length=4, rest=_RAW + b"base")
        assert backing_of(start) == Backing("base", "raw")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"QFI\xfb" + bytes(50),
        b"RAW!" + bytes(200),
        _header(3, offset=0, length=4, rest=_RAW + b"base"),
        _header(3, offset=128, length=0, rest=_RAW + b"base"),
        _header(3, offset=128, length=5, rest=_RAW + b"base"),
        _header(3, offset=2**64 - 1, length=4, rest=_RAW + b"base"),
        _header(3, offset=128, length=1024, rest=_RAW + b"b" * 1024),
        _header(3, offset=128, length=4, rest=_RAW + b"ba\0e"),
        _header(3, offset=112, length=4, rest=bytes(8) + b"base"),
        _header(3, offset=112, length=4, rest=struct.pack(">II", 7, 2**32 - 1) + b"base"),
        _header(3, offset=128, length=4, rest=_RAW.replace(b"raw", b"vdi") + b"base"),
        _header(3, offset=104, length=4, rest=b"base"),
    ],
)
def test_a_header_that_names_nothing_of_use_has_nothing_below(start: bytes) -> None:
    assert backing_of(start) is None


def test_what_an_image_stands_on_is_told_from_the_top(tmp_path: Path) -> None:
    """This includes absolute names, which lead elsewhere in a lab host."""
    base, middle, top = (tmp_path / name for name in ("base.raw", "m.qcow2", "t.qcow2"))
    base.write_bytes(bytes(1 << 20))
    qcow2.create(middle, 1 << 20, base)
    qcow2.create(top, 1 << 20, Path("m.qcow2"))
    _set_backing_format(top)
    with contextlib.ExitStack() as held:
        assert claim(DiskSpec(top, format="qcow2"), held) == (middle, base)
    with contextlib.ExitStack() as held:
        assert claim(DiskSpec(base), held) == ()
