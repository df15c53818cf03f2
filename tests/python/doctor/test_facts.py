# SPDX-License-Identifier: GPL-2.0-only
"""kvm.doctor.facts: what is read from the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.doctor import facts
from kvm.project import Project


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright", (12, 2, 0)),
        ("GNU ld (GNU Binutils for Debian) 2.40\n", (2, 40)),
        ("GNU Make 4.3\nBuilt for x86_64", (4, 3)),
        ("git version 2.39.5\n", (2, 39, 5)),
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n", (7, 2, 22)),
        ("ccache version 4.7.5\n", (4, 7, 5)),
        ("no number here\n", None),
        ("", None),
    ],
)
def test_version_is_the_programs_not_the_packagers(
    told: str, version: tuple[int, ...] | None
) -> None:
    assert facts.parse_version(told) == version


def test_a_missing_command_has_no_version() -> None:
    assert facts.version_of("no-such-command") is None


def test_memory_is_at_most_the_machines() -> None:
    total = next(
        int(line.split()[1]) // 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    assert 0 < facts.memory_mib() <= total


def test_a_wrong_kernel_tree_is_a_finding_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNEL_TREE", str(tmp_path))
    found = facts.kernel_tree(Project.find())
    assert "KERNEL_TREE" in found.problem


def test_disk_space_is_told_for_folders_that_do_not_exist_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "made"))
    gathered = facts.gather(Project.find(), probe=None, lab=lambda: "up")
    assert {disk.purpose for disk in gathered.disks} == {"build", "cache"}
    assert all(disk.free_bytes > 0 for disk in gathered.disks)
    assert gathered.lab == "up"
    assert not (tmp_path / "not").exists()
