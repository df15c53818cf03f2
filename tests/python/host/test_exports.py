# SPDX-License-Identifier: GPL-2.0-only
"""Folders beside disks on other file systems: chosen, made, found again, removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.host import exports

_SHM = Path("/dev/shm")


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``share``."""
    if not _SHM.is_dir() or _SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=_SHM) as folder:
        yield Path(folder)


def _image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_images_on_the_shares_file_system_need_no_export(tmp_path: Path, share: Path) -> None:
    images = [_image(tmp_path / "a"), _image(tmp_path / "b" / "c"), tmp_path / "none"]
    assert exports.choose(images, share, ()) == ()
    have = (tmp_path / ".tools-kvm-1",)
    assert exports.choose(images, share, have) == have


def test_images_of_one_file_system_share_an_export(share: Path, elsewhere: Path) -> None:
    images = [_image(elsewhere / "a"), _image(elsewhere / "folder" / "b")]
    (new,) = exports.choose(images, share, ())
    assert new.parent == elsewhere
    assert not new.exists()


def test_an_export_that_is_there_serves_the_next_command(share: Path, elsewhere: Path) -> None:
    record = share / "lab"
    record.mkdir()
    chosen = exports.choose([_image(elsewhere / "a")], share, ())
    exports.make(record, chosen)
    have = exports.recorded(record)
    assert have == chosen
    assert chosen[0].stat().st_mode & 0o777 == 0o700
    assert exports.choose([_image(elsewhere / "other" / "b")], share, have) == have
    os.link(elsewhere / "other" / "b", have[0] / "left-by-a-killed-command")
    exports.tidy(have)
    assert not list(have[0].iterdir())


def test_exports_go_with_what_killed_commands_left_in_them(share: Path, elsewhere: Path) -> None:
    record = share / "lab"
    record.mkdir()
    image = _image(elsewhere / "a")
    chosen = exports.choose([image], share, ())
    exports.make(record, chosen)
    os.link(image, chosen[0] / "run-disk0-a")
    exports.remove(record)
    assert list(elsewhere.iterdir()) == [image]
    assert image.stat().st_nlink == 1
    assert exports.recorded(record) == ()
    exports.remove(record)


@pytest.mark.parametrize("record", ['["FOLDER", "relative"]', "{}", "[1]", "not json", "7"])
def test_a_damaged_record_removes_nothing(tmp_path: Path, share: Path, record: str) -> None:
    kept = _image(tmp_path / "folder" / "kept")
    (share / "exports.json").write_text(record.replace("FOLDER", str(kept.parent)))
    assert exports.recorded(share) == ()
    exports.remove(share)
    assert kept.exists()


def test_a_folder_that_can_t_be_made_is_an_error_with_the_fix(tmp_path: Path, share: Path) -> None:
    with pytest.raises(UserError, match=r"beside the disk in .*/none: No such file"):
        exports.make(share, [tmp_path / "none" / ".tools-kvm-1"])
    exports.remove(share)


def test_no_more_exports_than_a_lab_host_has_room_for(
    tmp_path: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each folder has its own file system."""
    monkeypatch.setattr(exports, "linkable", lambda file, folder: file.parent == folder)
    images = [_image(tmp_path / str(number) / "disk") for number in range(exports.MOST + 1)]
    with pytest.raises(UserError, match="at most"):
        exports.choose(images, share, ())
    have = [tmp_path / "old" / ".tools-kvm-1", tmp_path / "old" / ".tools-kvm-2"]
    chosen = exports.choose(images[1:], share, have)
    assert [folder.parent.name for folder in chosen] == ["1", "2", "3"]
    assert exports.choose(images[3:], share, have)[1:] == tuple(have)


def test_a_file_that_is_a_mount_has_no_other_name(
    tmp_path: Path, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "linkable", lambda file, folder: False)
    with pytest.raises(UserError, match="mounted by itself"):
        exports.choose([_image(tmp_path / "disk")], share, ())
