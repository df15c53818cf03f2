# SPDX-License-Identifier: GPL-2.0-only
"""A series that was committed before is not applied again; another only where it differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.kernel.git import Repository
from kvm.kernel.patches import Series, commit_series
from support.checkout import git


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "tree"
    root.mkdir()
    git(root, "init", "-q")
    (root / "file").write_text("0\n")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "base")
    return Repository(root)


def series(folder: Path, *values: str) -> Series:
    """Patches that each replace the only line by the next value."""
    folder.mkdir(exist_ok=True)
    before, names = "0", []
    for number, value in enumerate(values, 1):
        name = f"{number:04}-{value}.patch"
        (folder / name).write_text(
            f"From: A <a@example.org>\nSubject: say {value}\n\n---\n"
            f"diff --git a/file b/file\n--- a/file\n+++ b/file\n@@ -1 +1 @@\n-{before}\n+{value}\n"
        )
        before = value
        names.append(name)
    (folder / "series").write_text("".join(f"{name}\n" for name in names))
    return Series.load(folder)


def test_only_new_patches_are_applied(repository: Repository, tmp_path: Path) -> None:
    said: list[str] = []
    base = repository.call("rev-parse", "HEAD")
    three = commit_series(repository, base, series(tmp_path / "p", "1", "2", "3"), said.append)
    assert len(said) == 3
    two = commit_series(repository, base, series(tmp_path / "p", "1", "2"), said.append)
    assert len(said) == 3, "a beginning of what was committed is known"
    assert repository.call("rev-parse", f"{three}^") == two
    other = commit_series(repository, base, series(tmp_path / "p", "1", "2", "4"), said.append)
    assert said[3:] == ["applying 0003-4.patch (3/3)"]
    assert repository.call("show", f"{other}:file") == "4"


def test_a_memory_of_commits_that_are_gone_is_no_memory(
    repository: Repository, tmp_path: Path
) -> None:
    base = repository.call("rev-parse", "HEAD")
    first = commit_series(repository, base, series(tmp_path / "p", "1"), lambda text: None)
    memory = repository.git_dir / "tools-kvm-series.json"
    memory.write_text(memory.read_text().replace(first, "0" * 40))
    assert commit_series(repository, base, series(tmp_path / "p", "1"), lambda text: None) == first
    memory.write_text("[]")
    assert commit_series(repository, base, series(tmp_path / "p", "1"), lambda text: None) == first
