# SPDX-License-Identifier: GPL-2.0-only
"""kvm.project: finding the checkout, and the folders derived from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.project import Project


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout"
    (root / "linux" / "configs").mkdir(parents=True)
    (root / "tools" / "kvm" / "src").mkdir(parents=True)
    return root


def test_find_from_any_folder_inside(checkout: Path) -> None:
    for start in (checkout, checkout / "linux" / "configs", checkout / "tools" / "kvm"):
        assert Project.find(start).root == checkout


def test_find_defaults_to_the_checkout_of_the_package() -> None:
    assert (Project.find().root / "pyproject.toml").is_file()


def test_find_follows_a_link_to_the_real_checkout(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout)
    assert Project.find(tmp_path / "link").root == checkout


def test_find_outside_names_the_folder_and_the_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not inside a checkout") as caught:
        Project.find(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "./invoke" in caught.value.hint


def test_folders_lie_under_the_checkout(checkout: Path) -> None:
    project = Project(checkout)
    assert project.build == checkout / "build"
    assert project.runs == checkout / "build" / "runs"
    assert project.vmm_build == checkout / "build" / "vmm"
    assert project.linux == checkout / "linux"


def test_cache_lies_outside_and_honours_xdg(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Project(checkout).cache == tmp_path / "xdg" / "tools-kvm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert Project(checkout).cache == tmp_path / "user" / ".cache" / "tools-kvm"
