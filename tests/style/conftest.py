# SPDX-License-Identifier: GPL-2.0-only
"""The files that style rules apply to: tracked ones, and new ones that git would add."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm import process

ROOT = Path(__file__).resolve().parents[2]


def _listed() -> list[Path]:
    argv = ("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others")
    names = process.capture((*argv, "--exclude-standard"), cwd=ROOT).decode().split("\0")
    paths = (ROOT / name for name in sorted(set(names)) if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file of the repository, except a tracked kernel tree's."""
    ours = (ROOT / "linux" / "configs", ROOT / "linux" / "patches")
    linux = ROOT / "linux"
    return [
        path
        for path in _listed()
        if not path.is_relative_to(linux)
        or path.name == "pin.toml"
        or any(path.is_relative_to(folder) for folder in ours)
    ]


@pytest.fixture(scope="session")
def texts(files: list[Path]) -> dict[str, str]:
    """The text files, by their path from the root."""
    found = {}
    for path in files:
        data = path.read_bytes()
        if b"\0" not in data:
            found[path.relative_to(ROOT).as_posix()] = data.decode()
    return found
