# SPDX-License-Identifier: GPL-2.0-only
"""A folder in which make cannot build is refused at once, whichever folder it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UsageError
from kvm.kernel import build, tree
from kvm.kernel.paths import refuse_odd
from kvm.project import Project
from support.odd import ODD


@pytest.mark.parametrize("odd", ODD)
def test_each_of_them_is_named(odd: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_odd(Path(f"/a{odd}b"), "it", "move it")
    assert repr(odd) in refused.value.message


def test_what_is_harmless_is_not_refused() -> None:
    path = Path("/srv/über/kvm-2.0_x+y@z,a=b^~{}!")
    assert refuse_odd(path, "it", "") == path


def test_a_checkout_a_kernel_tree_and_a_build_folder_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"the checkout's folder is .*my checkout"):
        tree.locate(Project(tmp_path / "my checkout"))
    linux = tmp_path / "my linux"
    linux.mkdir()
    for name in ("Kbuild", "Makefile"):
        (linux / name).touch()
    monkeypatch.setenv("KERNEL_TREE", str(linux))
    with pytest.raises(UsageError, match=r"KERNEL_TREE is .*my linux"):
        tree.locate(Project(tmp_path))
    monkeypatch.setenv("O", str(tmp_path / "my out"))
    with pytest.raises(UsageError, match=r"build folder is .*my out"):
        build.output_folder(Project(tmp_path), "default")
    monkeypatch.delenv("O")
    with pytest.raises(UsageError, match=r"build folder is .*my fragment"):
        build.output_folder(Project(tmp_path), "my fragment")
