# SPDX-License-Identifier: GPL-2.0-only
"""Disks of a machine in a lab host are the user's own files, wherever those are."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix import qcow2
from kvm.project import Project
from support import labs
from support.machines import Boot

pytestmark = pytest.mark.lab

_SHM = Path("/dev/shm")
_GIB = 1 << 30
_WRITE = "echo written | dd of=/dev/vda bs=512 seek=8 conv=sync,fsync 2>/dev/null"


@pytest.fixture
def elsewhere(project: Project) -> Iterator[Path]:
    """A folder on another file system than the checkout's."""
    if not _SHM.is_dir() or _SHM.stat().st_dev == project.root.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=_SHM) as folder:
        yield Path(folder)


def _sparse(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as image:
        image.truncate(3 * _GIB)
    return path


def test_a_disk_on_another_file_system_is_written_in_place(boot: Boot, elsewhere: Path) -> None:
    image = _sparse(elsewhere / "disk.img")
    before = image.stat()
    run = boot("sh", "-c", _WRITE, disks=(str(image),))
    assert run.verdict == ("PASS", "ok"), run
    with image.open("rb") as stream:
        stream.seek(8 * 512)
        assert stream.read(8) == b"written\n"
    after = image.stat()
    assert (after.st_ino, after.st_nlink) == (before.st_ino, 1)
    assert after.st_blocks * 512 < 1 << 20
    assert run.record.run_dir is not None
    assert not list(run.record.run_dir.glob("disk*"))


def test_no_command_leaves_anything_beside_its_disks(
    boot: Boot, elsewhere: Path, tmp_path: Path, project: Project
) -> None:
    for disks in (
        (str(_sparse(elsewhere / "a")),),
        (),
        (str(_sparse(elsewhere / "folder" / "b")),),
        (str(_sparse(tmp_path / "c")),),
    ):
        run = boot("sh", "-c", _WRITE if disks else "true", disks=disks)
        assert run.verdict == ("PASS", "ok"), run
    assert labs.own(project) is None
    assert sorted(path.name for path in elsewhere.iterdir()) == ["a", "folder"]


def test_what_is_only_read_needs_no_room_and_no_link(boot: Boot, elsewhere: Path) -> None:
    base, overlay = elsewhere / "base.raw", elsewhere / "overlay.qcow2"
    base.write_bytes(b"from the base".ljust(1 << 20, b"\0"))
    qcow2.create(overlay, 1 << 20, Path("base.raw"))
    show = "head -c 13 /dev/vda; head -c 13 /dev/vdb"
    disks = (f"{overlay},ro", f"{base},ro")
    run = boot("sh", "-c", show, disks=disks)
    assert (run.verdict, run.stdout) == (("PASS", "ok"), b"from the base" * 2), run
    # A change between two commands is seen, although the lab host is the same.
    base.write_bytes(b"another base!".ljust(1 << 20, b"\0"))
    run = boot("sh", "-c", show, disks=disks)
    assert (run.verdict, run.stdout) == (("PASS", "ok"), b"another base!" * 2), run


def test_an_image_that_somebody_else_uses_is_refused_by_its_name(
    boot: Boot, tmp_path: Path
) -> None:
    image, overlay = tmp_path / "disk.raw", tmp_path / "overlay.qcow2"
    image.write_bytes(bytes(1 << 20))
    qcow2.create(overlay, 1 << 20, Path("disk.raw"))
    with image.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for disk in (image, f"{image},ro", overlay):
            with pytest.raises(UserError, match=r"disk\.raw: another machine uses it"):
                boot("true", disks=(str(disk),))
    assert boot("true", disks=(str(image),)).verdict == ("PASS", "ok")
