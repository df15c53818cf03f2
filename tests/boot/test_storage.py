# SPDX-License-Identifier: GPL-2.0-only
"""Machines with shares and qcow2 disks, in the lab host."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kvm import process
from kvm.matrix import qcow2
from kvm.project import Project
from kvm.spec import words
from support.machines import Boot

pytestmark = pytest.mark.lab

_MIB = 1 << 20


@pytest.fixture
def work(project: Project) -> Iterator[Path]:
    """A folder that a lab host may write."""
    with tempfile.TemporaryDirectory(prefix="share-", dir=project.build) as folder:
        yield Path(folder)


def test_a_share_is_read_and_written_from_both_sides(boot: Boot, work: Path) -> None:
    (work / "in").write_bytes(os.urandom(300_000))
    run = boot("sh", "-c", "cd /mnt/work && cp in out && md5sum out", shares=(f"{work},tag=work",))
    assert run.verdict == ("PASS", "ok"), run
    content = (work / "in").read_bytes()
    assert (work / "out").read_bytes() == content
    assert run.stdout.split()[0].decode() == hashlib.md5(content).hexdigest()


def test_a_share_leads_nowhere_else(boot: Boot, work: Path) -> None:
    (work / "share").mkdir()
    (work / "secret").write_text("secret")
    (work / "share" / "link").symlink_to(work / "secret")
    (work / "share" / "up").symlink_to("..")
    run = boot(
        "sh",
        "-c",
        "cd /mnt/s; cat link; cat up/secret; cat ../s/../secret; ls /mnt",
        shares=(f"{work / 'share'},tag=s",),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"s\n"


def test_a_share_leads_into_no_kernel(boot: Boot) -> None:
    """The whole lab host is shared, with the mounts of its kernel and of this machine's."""
    script = """
        cd /mnt/all; ls -d proc sys; ls etc >/dev/null && echo files
        for name in proc sys dev/pts proc/self/mem proc/fs/files proc/fs/files/proc/self/mem; do
            ls "$name" >/dev/null 2>&1 && echo "listed $name"
            head -c 1 "$name" >/dev/null 2>&1 && echo "read $name"
        done; true
    """
    run = boot("sh", "-c", script, shares=("/,ro,tag=all",))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"proc\nsys\nfiles\n", run


def test_what_the_shares_of_a_lab_host_can_not_do(boot: Boot, work: Path) -> None:
    """QEMU's 9p below ours works by path, and opens what it creates (docs/decisions/0018-9p.md).

    If that changes, remove what then works from this list and from that page.
    """
    (work / "try").write_text(_IN_A_SHARE)
    run = boot(
        "sh", "-c", "cd /mnt/s && python3 try", root="/", shares=(f"{work},tag=s",), memory_mib=512
    )
    assert run.verdict == ("PASS", "ok"), run
    assert dict(line.split("=") for line in run.stdout.decode().splitlines()) == {
        "mkfifo": "ENXIO",
        "bind": "ENXIO",
        "ftruncate unlinked": "ENOENT",
        "fchmod unlinked": "ENOENT",
        "futimens unlinked": "ENOENT",
        "pwrite unlinked": "ok",
        "pread unlinked": "ok",
        "ftruncate renamed": "ok",
        "mknod": "ok",
    }


_IN_A_SHARE = """
import errno, os, socket

def attempt(what, how, *arguments):
    try:
        how(*arguments)
        print(what, "ok", sep="=")
    except OSError as failed:
        print(what, errno.errorcode[failed.errno], sep="=")

attempt("mkfifo", os.mkfifo, "fifo")
attempt("bind", socket.socket(socket.AF_UNIX).bind, "socket")
gone = os.open("gone", os.O_RDWR | os.O_CREAT, 0o644)
os.unlink("gone")
attempt("ftruncate unlinked", os.ftruncate, gone, 10)
attempt("fchmod unlinked", os.fchmod, gone, 0o600)
attempt("futimens unlinked", os.utime, gone)
attempt("pwrite unlinked", os.pwrite, gone, b"x", 5)
attempt("pread unlinked", os.pread, gone, 1, 0)
moved = os.open("moved", os.O_RDWR | os.O_CREAT, 0o644)
os.rename("moved", "away")
attempt("ftruncate renamed", os.ftruncate, moved, 10)
attempt("mknod", os.mknod, "node")
"""


def test_a_share_that_is_no_folder_is_an_error(boot: Boot, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="is not a folder"):
        boot("true", shares=(f"{tmp_path / 'none'},ro",))
    # The lab host is not left locked.
    assert boot("true").verdict == ("PASS", "ok")


def test_git_of_the_guest_agrees_with_ours(boot: Boot, work: Path, project: Project) -> None:
    git = shutil.which("git")
    assert git is not None
    tree = work / "tree"
    source = Path(os.environ.get("KERNEL_TREE") or project.linux / "tree")
    shutil.copytree(source / "virt", tree / "virt", symlinks=True)
    commands: tuple[tuple[str, ...], ...] = (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all"),
    )
    for command in commands:
        process.run((git, "-C", tree, *command), timeout_s=60)
    (tree / "virt/kvm/kvm_main.c").write_text("changed\n")
    (tree / "virt/new").write_text("new\n")
    status = process.capture((git, "-C", tree, "status", "--short"), timeout_s=60)
    diff = process.capture((git, "-C", tree, "diff"), timeout_s=60)
    script = (
        "git config --global safe.directory /mnt/tree; cd /mnt/tree; "
        "git status --short; echo ---; git diff"
    )
    run = boot(
        "sh",
        "-c",
        script,
        root="/",
        shares=(f"{tree},tag=tree",),
        memory_mib=512,
        timeout_s=60.0,
    )
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == status + b"---\n" + diff


def test_a_qcow2_disk_on_a_backing_file(boot: Boot, tmp_path: Path) -> None:
    base, image = tmp_path / "base.raw", tmp_path / "disk.qcow2"
    content = os.urandom(_MIB)
    base.write_bytes(content)
    qcow2.create(image, 2 * _MIB, Path("base.raw"))
    run = boot(
        "sh",
        "-c",
        "md5sum </dev/vda; "
        "dd if=/dev/zero of=/dev/vda bs=1k count=3 seek=70 conv=fsync 2>/dev/null",
        disks=(str(image),),
    )
    assert run.verdict == ("PASS", "ok"), run
    shown = content + bytes(_MIB)
    assert run.stdout.split()[0].decode() == hashlib.md5(shown).hexdigest()
    wanted = shown[: 70 << 10] + bytes(3 << 10) + shown[73 << 10 :]
    assert qcow2.content(image, base.read_bytes()) == wanted
    assert base.read_bytes() == content


def test_a_backing_file_elsewhere_is_the_users_to_allow(boot: Boot, tmp_path: Path) -> None:
    base, image = tmp_path / "bases" / "base.raw", tmp_path / "disks" / "a,ro.qcow2"
    for path in (base, image):
        path.parent.mkdir()
    content = os.urandom(_MIB)
    base.write_bytes(content)
    qcow2.create(image, _MIB, base)
    run = boot("true", disks=(words.join([str(image)]),))
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert f"{image}: has the backing file {base}" in run.record.outcome.summary
    assert f"backing={base}" in run.record.outcome.summary
    allowed = words.join([str(image), f"backing={base.parent}"])
    run = boot("sh", "-c", "md5sum </dev/vda", disks=(allowed,))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.split()[0].decode() == hashlib.md5(content).hexdigest()


def test_an_image_is_no_raw_disk_unless_the_user_says_so(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    qcow2.create(image, _MIB)
    run = boot("true", disks=(str(image),))
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert f"{image}: holds a qcow2 image" in run.record.outcome.summary
    run = boot("sh", "-c", "dd if=/dev/vda bs=3 count=1 2>/dev/null", disks=(f"{image},raw",))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"QFI"


def test_a_corrupt_image_is_refused_by_its_name(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    qcow2.create(image, _MIB)
    with image.open("r+b") as stream:
        stream.seek(3 * qcow2.CLUSTER)
        stream.write(b"\xff" * 8)
    run = boot("true", disks=(str(image),))
    assert run.verdict == ("ERROR", "vmm-error"), run
    assert f"{image}: has an impossible L1 entry" in run.record.outcome.summary


def test_the_machines_own_root_is_used_and_left_alone(boot: Boot, project: Project) -> None:
    """The lab host's root is this machine's, so the guest sees this very checkout."""
    mark = project.root / "written-by-a-guest"
    script = f"cat {project.root}/tasks.py; echo x >{mark} && cat {mark}; ls -d /proc/1 /dev/null"
    run = boot("bash", "-c", script, root="/", memory_mib=512, timeout_s=60.0)
    assert run.verdict == ("PASS", "ok"), run
    wanted = (project.root / "tasks.py").read_bytes() + b"x\n/dev/null\n/proc/1\n"
    assert run.stdout == wanted
    assert not mark.exists()


def test_a_disk_that_shrinks_gives_errors_and_the_rest_goes_on(boot: Boot, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\0" * (1 << 20))
    last_block = "dd if=/dev/vda of=/dev/null bs=4096 skip=255 count=1 iflag=direct"
    script = f"""
        {last_block} && echo ready >/dev/vda && sync
        while {last_block} 2>/tmp/why; do sleep 0.1; done; tail -n 1 /tmp/why
        dd if=/dev/vda bs=4096 count=1 iflag=direct 2>/dev/null | head -n 1
        dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c
    """

    def shrink() -> None:
        for _ in range(2400):
            if image.read_bytes().startswith(b"ready"):
                break
            time.sleep(0.1)
        os.truncate(image, 4096)

    with ThreadPoolExecutor() as pool:
        shrunk = pool.submit(shrink)
        run = boot("sh", "-c", script, disks=(f"{image}",))
        shrunk.result()
    assert run.verdict == ("PASS", "ok"), run
    error, content, entropy = run.stdout.decode().splitlines()
    assert "Input/output error" in error, run.stdout
    assert (content, entropy) == ("ready", "256")
