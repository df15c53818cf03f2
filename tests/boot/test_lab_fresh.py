# SPDX-License-Identifier: GPL-2.0-only
"""The next machine, and an open file, show the user's changes, whatever was read before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kvm.matrix import qcow2
from kvm.project import Project
from support.guests import Guest, play
from support.machines import Boot

pytestmark = pytest.mark.lab

_MIB = 1 << 20


def _write(path: Path, text: str) -> None:
    """Write in place, with the same size and time as before: only the bytes show the change."""
    before = path.stat() if path.exists() else None
    path.write_text(text)
    if before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path, text: str) -> None:
    """Replace a file as editors and git do."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.rename(path)


def test_a_share_shows_what_was_changed_between_two_machines(boot: Boot, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for name in ("edited", "replaced", "removed"):
        (deep / name).write_text(f"echo old {name}\n")
    script = "cd /mnt/s/a/b; for name in edited replaced removed added; do sh ./$name; done; ls"
    share = (f"{tmp_path},ro,tag=s",)
    first = boot("sh", "-c", f"{script} 2>/dev/null", shares=share)
    assert first.verdict == ("PASS", "ok"), first
    assert first.stdout.decode().split("\n")[:3] == [
        "old edited",
        "old replaced",
        "old removed",
    ]
    _write(deep / "edited", "echo new edited\n")
    _replace(deep / "replaced", "echo a new one of another length\n")
    (deep / "removed").unlink()
    (deep / "added").write_text("echo added\n")
    second = boot("sh", "-c", f"{script} 2>/dev/null", shares=share)
    assert second.stdout.decode().split("\n")[:-1] == [
        "new edited",
        "a new one of another length",
        "added",
        *("added", "edited", "replaced"),
    ]


def test_a_root_shows_what_was_changed_between_two_machines(boot: Boot, tmp_path: Path) -> None:
    for name in ("edited", "replaced"):
        (tmp_path / name).write_text("old")
    words = ("sh", "-c", f"cd {tmp_path}; cat edited replaced; ls")
    first = boot(*words, root="/", memory_mib=512)
    assert first.stdout == b"oldoldedited\nreplaced\n", first
    _write(tmp_path / "edited", "new")
    _replace(tmp_path / "replaced", "and newer")
    (tmp_path / "sub").mkdir()
    second = boot(*words, root="/", memory_mib=512)
    assert second.stdout == b"newand neweredited\nreplaced\nsub\n", second


@pytest.mark.parametrize("place", ["beside", "elsewhere"])
def test_a_disk_stands_on_what_its_backing_file_is_now(
    boot: Boot, tmp_path: Path, place: str
) -> None:
    """The backing file has an absolute name, in the image's folder or where the user says."""
    base = tmp_path / ("images" if place == "beside" else "bases") / "base.raw"
    overlay = tmp_path / "images" / "overlay.qcow2"
    for path in (base, overlay):
        path.parent.mkdir(exist_ok=True)
    base.write_bytes(b"old".ljust(_MIB, b"\0"))
    qcow2.create(overlay, _MIB, base)
    disk = f"{overlay},backing={base.parent}" if place == "elsewhere" else str(overlay)
    words = ("head", "-c", "3", "/dev/vda")
    for content in (b"old", b"new"):
        base.write_bytes(content.ljust(_MIB, b"\0"))
        run = boot(*words, disks=(disk,))
        assert (run.verdict, run.stdout) == (("PASS", "ok"), content), run


def test_a_users_script_is_run_as_it_is_now(boot: Boot, project: Project, tmp_path: Path) -> None:
    script, seen = tmp_path / "up", project.build / "fresh-seen"
    try:
        for word in ("old", "new"):
            script.write_text(f"#!/bin/sh\necho {word} $1 >{seen}\n")
            script.chmod(0o755)
            run = boot("true", nets=(f"tap=fresh,script={script}",))
            assert run.verdict == ("PASS", "ok"), run
            assert seen.read_text() == f"{word} fresh\n"
    finally:
        seen.unlink(missing_ok=True)


_UNTIL = 'i=0; until {}; do i=$((i+1)); [ $i -lt 100 ] || exit 9; sleep 0.1; done; echo "{} seen"'


def test_a_change_during_a_run_is_seen_by_the_next_open(project: Project, tmp_path: Path) -> None:
    for name in ("edited", "grown", "replaced", "removed"):
        (tmp_path / name).write_text("old\n")
    conditions = {
        "edited": "grep -q new edited",
        "grown": "grep -q tail grown",
        "replaced": "grep -q new replaced",
        "removed": "[ ! -e removed ]",
        "added": "grep -q new folder/added 2>/dev/null",
    }
    # Each has been read, and one is open in another process, before anything changes.
    script = "\n".join(
        (
            "cd /mnt/s; cat *; ls; [ ! -e folder/added ]; sleep 60 <grown & echo ready",
            *(_UNTIL.format(condition, name) for name, condition in conditions.items()),
            "cat grown",
        )
    )

    def change(guest: Guest) -> None:
        guest.wait_for("ready")
        _write(tmp_path / "edited", "new\n")
        with (tmp_path / "grown").open("a") as stream:
            stream.write("tail\n")
        _replace(tmp_path / "replaced", "new\n")
        (tmp_path / "removed").unlink()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "added").write_text("new\n")

    run = play(project, script, change, shares=(f"{tmp_path},ro,tag=s",))
    assert run.verdict == ("PASS", "ok"), f"{run}\n{run.stdout.decode()}"
    assert run.stdout.endswith(b"old\ntail\n"), run.stdout
