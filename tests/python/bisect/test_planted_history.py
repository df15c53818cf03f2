# SPDX-License-Identifier: GPL-2.0-only
"""The planted history names cells and patches that exist, and its patches still apply."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kvm.bisect.model import Axis, Label
from kvm.bisect.planted_history import KERNEL_FILES, VMM_FILES
from kvm.commands.bisect import find_cell
from kvm.project import Project

PROJECT = Project.find()
FOLDER = PROJECT.root / "tests" / "bisect" / "planted"
RECORD: dict[str, Any] = tomllib.loads((FOLDER / "history.toml").read_text())
ITEMS = [*RECORD["commit"], *RECORD["case"]]


def test_positions_are_one_commits_each_and_in_the_history() -> None:
    places = [item["at"] for item in ITEMS]
    assert len(set(places)) == len(places)
    assert min(places) > 0 and max(places) < RECORD["commits"] == 64


@pytest.mark.parametrize("case", RECORD["case"], ids=lambda case: case["name"])
def test_a_case_has_a_cell_and_an_answer(case: dict[str, Any]) -> None:
    assert find_cell(PROJECT, case["cell"]).id == case["cell"]
    assert Label(case["label"])
    assert not case["part"] or Axis(case["part"])


def test_the_traps_and_cases_asked_for_are_there() -> None:
    names = {case["name"] for case in RECORD["case"]}
    assert {"kernel-guest", "kvm-host", "vmm", "interaction"} < names
    assert {"unbuildable", "unbootable", "other-failure", "flake"} < names


@pytest.mark.parametrize("half", ["kernel", "vmm"])
def test_patches_apply_to_the_sources_of_today(half: str) -> None:
    root = PROJECT.linux / "tree" if half == "kernel" else PROJECT.root
    if not (root / ".git").exists():
        pytest.skip("there is no pinned kernel tree here")
    files = dict.fromkeys(FOLDER / name for item in ITEMS for name in item.get(half, ()))
    for patch in files:
        done = subprocess.run(
            ("git", "apply", "--check", patch),
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{patch.name}: {done.stderr}"


def test_the_files_of_harmless_commits_are_there() -> None:
    assert all((PROJECT.root / name).is_file() for name in VMM_FILES)
    tree: Path = PROJECT.linux / "tree"
    if tree.is_dir():
        assert all((tree / name).is_file() for name in KERNEL_FILES)
