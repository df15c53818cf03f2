# SPDX-License-Identifier: GPL-2.0-only
"""A clone goes on where the machine of its snapshot was, and is no twin of another one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.commands import snapshot as command
from kvm.commands.words import SnapshotWords
from kvm.errors import UserError
from kvm.matrix import qcow2
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import snapshots
from kvm.run.snapshots import Snapshot
from support.asked import boot_options
from support.machines import Boot
from support.outside import Answering, own_address

pytestmark = pytest.mark.lab

NAME = f"test-{os.getpid()}"  # these tests may run side by side
PREPARED = "echo kept >/tmp/note; sleep 1000 & cat /proc/sys/kernel/random/boot_id >/tmp/id"
FACTS = (
    "cat /tmp/note; cmp /tmp/id /proc/sys/kernel/random/boot_id && pidof sleep >/dev/null && "
    "echo same; date +%s; od -An -tx1 -N16 /dev/urandom; cat /proc/sys/kernel/random/uuid; nproc"
)


def make(project: Project, name: str, *argv: str, **options: object) -> int:
    """``./invoke snapshot NAME ... -- ARGV``."""
    chosen = boot_options(command=argv, host="lab", timeout_s=20.0, **options)
    with Progress(live=False) as progress:
        return command.make(project, progress, chosen, SnapshotWords(name))


@pytest.fixture(scope="module")
def snapshot(project: Project) -> Iterator[Snapshot]:
    assert make(project, NAME, "sh", "-c", PREPARED, vcpus=2) == 0
    yield Snapshot.load(project, NAME)
    snapshots.drop(project, NAME)


def test_clones_go_on_where_the_machine_was_and_are_no_twins(
    snapshot: Snapshot, boot: Boot
) -> None:
    found = []
    for _ in range(3):
        run = boot("sh", "-c", FACTS, from_=NAME)
        assert run.verdict == ("PASS", "ok"), run
        assert run.record.cloned
        note, same, now, *random, cpus = run.stdout.decode().splitlines()
        assert (note, same, cpus) == ("kept", "same", "2")
        assert abs(float(now) - time.time()) < 30
        assert "Linux version" in run.console  # of the boot, which is judged each time
        found += random
    assert len(set(found)) == len(found) == 6


def test_what_a_clone_does_is_unknown_to_the_next(snapshot: Snapshot, boot: Boot) -> None:
    script = "ls /tmp; killall sleep; rm /tmp/note; echo 1 >/proc/sys/vm/drop_caches; dmesg -n 8"
    seen = [boot("sh", "-c", script, from_=NAME).stdout for _ in range(2)]
    assert seen == [b"id\nnote\n"] * 2


def test_a_clone_has_its_commands_streams_and_code(snapshot: Snapshot, boot: Boot) -> None:
    run = boot("sh", "-c", "echo out; echo err >&2; exit 9", from_=NAME)
    assert (run.stdout, run.stderr, run.record.exit_code) == (b"out\n", b"err\n", 9)


def test_a_fault_in_a_clone_is_its_kernels(snapshot: Snapshot, boot: Boot) -> None:
    run = boot("sh", "-c", "echo c >/proc/sysrq-trigger; sleep 30", from_=NAME)
    assert run.verdict == ("FAIL", "kernel-panic"), run
    assert "sysrq" in run.record.outcome.summary.lower()


def test_each_clone_has_a_disk_as_it_was_and_the_image_none_of_their_writes(
    project: Project, boot: Boot, tmp_path: Path
) -> None:
    name, base, top, raw = f"{NAME}-disks", *(tmp_path / one for one in ("b.raw", "t.qcow2", "r"))
    base.write_bytes(b"base" * 1024)
    qcow2.create(top, 4096, base)
    raw.write_bytes(b"raw-" * 1024)
    raw_link = tmp_path / "link"
    raw_link.symlink_to(raw)
    disks = (f"{top},transient", f"{raw_link},ro")
    prepare = "printf prep | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null"
    assert make(project, name, "sh", "-c", prepare, disks=disks) == 0
    base.write_bytes(b"new!" * 1024)
    raw.unlink()  # it has a copy
    script = (
        "head -c 8 /dev/vda; head -c 4 /dev/vdb; printf mine | dd of=/dev/vda bs=4 seek=1 "
        "conv=notrunc,fsync 2>/dev/null; dd if=/dev/vda iflag=direct bs=512 count=1 2>/dev/null | "
        "head -c 12"
    )
    for _ in range(2):
        run = boot("sh", "-c", script, from_=name)
        assert run.verdict == ("PASS", "ok"), run
        assert run.stdout == b"prepbaseraw-prepminebase"
    assert base.read_bytes() == b"new!" * 1024
    snapshots.drop(project, name)


def test_a_clones_network_leads_outside(project: Project, boot: Boot) -> None:
    name = f"{NAME}-net"
    assert make(project, name, nets=("user",)) == 0
    address = own_address()
    with Answering(address) as server:
        for _ in range(2):
            run = boot("nc", "-w", "20", address, str(server.port), from_=name)
            assert run.verdict == ("PASS", "ok"), run
            assert run.stdout == b"hello from outside\n"
        assert server.callers == 2
    snapshots.drop(project, name)


def test_a_disk_that_does_not_fit_is_refused_in_words(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "big.raw"
    with image.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, 1400 << 20)
    with pytest.raises(UserError, match=r"they have 1400 MiB, and its lab host has room for .*MiB"):
        make(project, f"{NAME}-big", disks=(f"{image},ro",))


def test_a_command_that_fails_makes_no_snapshot(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"{NAME}-bad"
    assert make(project, name, "sh", "-c", "echo said; exit 3") == 125
    assert name not in [one.name for one in snapshots.all_of(project)]
    said = capfd.readouterr()
    assert "said" in said.out
    assert "its command ended with 3" in said.err


def test_one_that_the_cache_has_lost_is_said_to_be_gone(
    snapshot: Snapshot, boot: Boot, project: Project
) -> None:
    saved = snapshot.saved(project)
    assert saved is not None
    away = saved.with_name("new-away")
    saved.rename(away)
    try:
        with pytest.raises(UserError, match="is not in the cache any more") as gone:
            boot("true", from_=NAME)
    finally:
        away.rename(saved)
    assert f"./invoke {snapshot.words}" in str(gone.value)


@pytest.mark.parametrize("file", ["ram", "devices", "events.json"])
@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_damaged_files_are_noticed_and_never_gone_on_from(
    project: Project, boot: Boot, file: str, damage: str
) -> None:
    name = f"{NAME}-{file}-{damage}"
    assert make(project, name) == 0
    saved = Snapshot.load(project, name).saved(project)
    assert saved is not None
    path = saved / file
    if damage == "cut":
        os.truncate(path, path.stat().st_size - 1)
    else:
        with path.open("r+b") as stream:
            stream.seek(path.stat().st_size // 2)
            stream.write(b"\x5a")
    run = boot("true", from_=name)
    assert run.verdict == ("ERROR", "infrastructure"), run
    assert f"./invoke snapshot {name}" in run.record.outcome.summary
    assert Snapshot.load(project, name).saved(project) is None  # dropped
    snapshots.drop(project, name)
