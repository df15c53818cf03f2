# SPDX-License-Identifier: GPL-2.0-only
"""Tests are where their source is: tests/cpp/X for src/X, tests/python/X for kvm/X."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_MIRRORS = {
    "tests/cpp": "tools/kvm/src",
    "tests/python": "tools/kvm/python/kvm",
}
_TEST = re.compile(r"test_\w+\.py|\w+_test\.cpp")


@pytest.mark.parametrize(("tests", "source"), _MIRRORS.items())
def test_every_test_folder_mirrors_a_source_folder(
    tests: str, source: str, texts: dict[str, str], root: Path
) -> None:
    folders = {
        Path(name).parent.relative_to(tests)
        for name in texts
        if name.startswith(f"{tests}/") and _TEST.fullmatch(Path(name).name)
    }
    strays = [f.as_posix() for f in folders if not (root / source / f).is_dir()]
    assert not strays, f"{tests}/ has folders that {source}/ lacks: {strays}"


def test_every_top_level_python_test_names_a_module(texts: dict[str, str], root: Path) -> None:
    package = root / "tools/kvm/python/kvm"
    # test_cpp runs the C++ tests; their source is tools/kvm/src.
    subjects = [
        Path(name).stem.removeprefix("test_")
        for name in texts
        if Path(name).parent == Path("tests/python") and Path(name).name.startswith("test_")
    ]
    strays = [
        subject
        for subject in subjects
        if subject != "cpp"
        and not (package / f"{subject}.py").is_file()
        and not (package / subject).is_dir()
    ]
    assert not strays, strays
