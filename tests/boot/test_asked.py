# SPDX-License-Identifier: GPL-2.0-only
"""What was requested is in the guest, or the verdict says what its kernel lacks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kvm import process
from kvm.project import Project
from support.machines import Boot

pytestmark = pytest.mark.lab

# The guest's command ignores all errors: only the harness's own check can notice.
CARELESS = ("sh", "-c", "for script in /mnt/s/*.sh; do [ ! -e $script ] || sh $script; done")


def _share(folder: Path) -> dict[str, Any]:
    return {"shares": (f"{folder},ro,tag=s",)}


def _disk(folder: Path) -> dict[str, Any]:
    image = folder / "disk.raw"
    image.write_bytes(bytes(1 << 20))
    return {"disks": (f"{image},ro",)}


def _net(folder: Path) -> dict[str, Any]:
    return {"nets": ("user",)}


def _balloon(folder: Path) -> dict[str, Any]:
    return {"balloon_mib": 0}


CASES = {
    "share": (_share, "p9_virtio_init", "/mnt/s: the guest's kernel has no 9p by virtio"),
    "share-fs": (_share, "init_v9fs", "CONFIG_9P_FS"),
    "disk": (_disk, "virtio_blk_init", "0 of 1 disks are there"),
    "net": (_net, "virtio_net_driver_init", "CONFIG_VIRTIO_NET"),
    "balloon": (_balloon, "virtio_balloon_driver_init", "CONFIG_VIRTIO_BALLOON"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_without_the_driver_is_named_and_does_not_pass(
    boot: Boot, tmp_path: Path, case: str
) -> None:
    asked, initcall, words = CASES[case]
    options = asked(tmp_path)
    run = boot(*CARELESS, append=f"initcall_blacklist={initcall}", **options)
    assert run.verdict == ("ERROR", "infrastructure"), run
    assert words in run.record.outcome.summary
    assert run.record.exit_code == 125


def test_all_that_is_asked_for_is_found(boot: Boot, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "one.sh").write_text("echo ran\n")
    options = _share(folder) | _disk(tmp_path) | _net(tmp_path) | _balloon(tmp_path)
    for transport in ("mmio", "pci"):
        run = boot(*CARELESS, transport=transport, ttys=(2,), vnc="auto", **options)
        assert (run.verdict, run.stdout) == (("PASS", "ok"), b"ran\n"), run


@pytest.mark.parametrize(
    ("initcall", "words"), [("p9_virtio_init", "9p"), ("ovl_init", "CONFIG_OVERLAY_FS")]
)
def test_in_another_root_than_the_one_asked_for_nothing_runs(
    boot: Boot, initcall: str, words: str
) -> None:
    run = boot("echo", "ran", root="/", append=f"initcall_blacklist={initcall}")
    assert run.verdict == ("ERROR", "infrastructure"), run
    assert "the root: the guest's kernel has no" in run.record.outcome.summary
    assert words in run.record.outcome.summary
    assert run.stdout == b""


@pytest.mark.parametrize(
    ("append", "words"),
    [
        ("toolskvm.wants=mmio,disk:2", "1 of 2 disks are there: the guest's kernel finds no more"),
        ("toolskvm.shares=other", "/mnt/other is not mounted: No such file or directory"),
    ],
)
def test_what_a_driver_does_not_find_has_failed(
    boot: Boot, tmp_path: Path, append: str, words: str
) -> None:
    """As if a requested device did not come up although its driver is there."""
    run = boot("true", append=append, **_disk(tmp_path), **_share(tmp_path))
    assert run.verdict == ("FAIL", "check-failed"), run
    assert run.record.outcome.summary == words


def test_a_command_in_our_root_starts_where_its_caller_is(
    boot: Boot, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.root / "docs" / "decisions"
    monkeypatch.chdir(folder)
    run = boot("sh", "-c", "pwd; ls 0004-verdicts.md; git rev-parse --show-toplevel", root="/")
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout.decode().split() == [str(folder), "0004-verdicts.md", str(project.root)]


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to another user")
def test_git_takes_its_callers_files_for_its_own(
    boot: Boot, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="git-", dir=project.build) as folder:
        process.run(("git", "init", "-q", folder))
        for path in (Path(folder), Path(folder, ".git")):
            os.chown(path, 1000, 1000)
        monkeypatch.chdir(folder)
        known = {"SUDO_UID": "1000", "PWD": folder}
        monkeypatch.setattr("kvm.run.boot.environment_in_guest", lambda options: known)
        run = boot("git", "rev-parse", "--show-toplevel", root="/")
    assert (run.verdict, run.stdout.decode()) == (("PASS", "ok"), f"{folder}\n"), run
