# SPDX-License-Identifier: GPL-2.0-only
"""The system's own cpio lists archives as intended, and equal input is built once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kvm import process
from kvm.errors import UserError
from kvm.guest import cpio
from kvm.guest.build import build_init
from kvm.guest.initramfs import ExtraFile, build_initramfs, find_busybox, is_static
from kvm.project import Project


def listing(archive: Path) -> dict[str, str]:
    """Member → its mode column, listed by the installed cpio."""
    tool = ("cpio",) if shutil.which("cpio") else ("busybox", "cpio")
    text = process.run((*tool, "-itv"), stdin=archive.read_bytes()).output
    rows = (line.split() for line in text.splitlines() if " 1970 " in line or " 00:00" in line)
    return {row[row.index("->") - 1 if "->" in row else -1]: row[0] for row in rows}


def unpack(archive: Path, member: str) -> bytes:
    """Read one member by walking the headers, independently of the writer's code."""
    data, at = archive.read_bytes(), 0
    while True:
        assert data[at : at + 6] == b"070701", f"no header at {at}"
        size, name_size = (int(data[at + o : at + o + 8], 16) for o in (54, 94))
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == member:
            return data[start : start + size]
        assert name != "TRAILER!!!", f"{member} is not in the archive"
        at = (start + size + 3) & ~3


def test_guest_archive_lists(project: Project) -> None:
    members = listing(build_initramfs(project))
    assert members["init"] == "-rwxr-xr-x"
    assert members["dev/console"].startswith("crw")
    assert members["dev/null"] == "crw-rw-rw-"
    assert members["bin/busybox"] == "-rwxr-xr-x"
    assert members["bin/sh"].startswith("l")
    assert members["tmp"] == "drwxrwxrwt"
    assert {"proc", "sys", "root", "sbin", "usr/bin", "etc/passwd"} <= members.keys()


def test_lab_archive_holds_init_and_agent_only(project: Project) -> None:
    archive = build_initramfs(project, agent_argv=("/usr/bin/python3", "-c", "", "ä"))
    assert unpack(archive, "agent.argv") == b"/usr/bin/python3\0-c\0\0\xc3\xa4\0"
    assert unpack(archive, "init") == build_init(project).read_bytes()
    assert "bin/busybox" not in listing(archive)


def test_equal_input_is_built_once_and_other_input_apart(project: Project) -> None:
    first = build_initramfs(project, agent_argv=("a",))
    inode = first.stat().st_ino
    assert build_initramfs(project, agent_argv=("a",)) == first
    assert first.stat().st_ino == inode
    assert build_initramfs(project, agent_argv=("b",)) != first
    assert not list(first.parent.glob(".*")), "scratch folders stay behind"


def test_extra_files_get_folders_and_follow_merged_ones(project: Project, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"abc")
    files = (
        ExtraFile(tool, "/opt/a/tool"),
        ExtraFile(tool, "/usr/bin/sh", 0o700),
        ExtraFile(tool, "/etc/data", 0o644),
    )
    archive = build_initramfs(project, files=files)
    members = listing(archive)
    assert members["opt"] == members["opt/a"] == "drwxr-xr-x"
    assert members["opt/a/tool"] == "-rwxr-xr-x"
    assert members["bin/sh"] == "-rwx------"
    assert members["etc/data"] == "-rw-r--r--"
    assert members["usr/bin"].startswith("l")
    assert list(members).index("opt/a") < list(members).index("opt/a/tool")
    assert unpack(archive, "opt/a/tool") == b"abc"


@pytest.mark.parametrize("target", ["/init", "relative", "/", "/proc", "/usr/bin"])
def test_extra_file_in_the_way_is_refused(project: Project, tmp_path: Path, target: str) -> None:
    tool = tmp_path / "tool"
    tool.touch()
    with pytest.raises(UserError, match=target):
        build_initramfs(project, files=(ExtraFile(tool, target),))


def test_missing_extra_file_and_folder_are_named(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone"):
        build_initramfs(project, files=(ExtraFile(tmp_path / "gone", "/x"),))
    with pytest.raises(UserError, match="is a folder"):
        build_initramfs(project, files=(ExtraFile(tmp_path, "/x"),))


def test_busybox_must_be_static(tmp_path: Path, init: Path) -> None:
    with pytest.raises(UserError, match="not found") as missing:
        find_busybox((tmp_path / "busybox",))
    assert "busybox-static" in missing.value.hint
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(UserError, match="shared libraries"):
        find_busybox((script,))
    assert find_busybox((script, init)) == init


def test_members_are_aligned_and_deterministic() -> None:
    for length in range(1, 9):
        entries = [cpio.file("a" * length, b"d" * length), cpio.symlink("l", "t"), cpio.folder("f")]
        data = cpio.archive(entries)
        assert len(data) % 4 == 0
        assert data == cpio.archive(entries)
        for at in range(len(data)):
            if data.startswith(b"070701", at):
                assert at % 4 == 0


def test_init_is_compiled_once(project: Project, init: Path) -> None:
    stamp = init.stat().st_mtime_ns
    assert build_init(project) == init
    assert init.stat().st_mtime_ns == stamp
    assert is_static(init)
    assert os.access(init, os.X_OK)
