# SPDX-License-Identifier: GPL-2.0-only
"""A switch of the kernel tree survives a kill at every step, twice, and overwrites no edit."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.kernel import tree
from kvm.kernel.git import Repository
from support.checkout import Checkout, git

_STEPS = 40  # more than a switch needs


class Killed(BaseException):
    """The code under test does not catch it."""


def quiet(text: str) -> None:
    pass


@pytest.fixture
def moved(checkout: Checkout) -> Checkout:
    """A tree at a first series, while ``linux/patches`` has a second one.

    The second edits a file, adds one in a new folder, removes one and makes one executable.
    """
    tree.prepare(checkout.project, quiet)
    git(checkout.tree, "checkout", "-qb", "work")
    main = checkout.tree / "init" / "main.c"
    (checkout.tree / "going").mkdir()
    (checkout.tree / "going" / "away.c").write_text("going\n")
    tree.save(checkout.project, quiet, message="add a file that goes")
    kept = {path.name: path.read_bytes() for path in checkout.patches.iterdir()}
    main.write_text(main.read_text().replace("line 20\n", "line twenty\n"))
    (checkout.tree / "new").mkdir()
    (checkout.tree / "new" / "file.c").write_text("".join(f"new {n}\n" for n in range(50)))
    (checkout.tree / "going" / "away.c").unlink()
    (checkout.tree / "Kbuild").chmod(0o755)
    tree.save(checkout.project, quiet, message="change all that can be changed")
    second = {path.name: path.read_bytes() for path in checkout.patches.iterdir()}
    _put(checkout.patches, kept)
    tree.prepare(checkout.project, quiet)
    assert (checkout.tree / "going" / "away.c").exists()
    _put(checkout.patches, second)
    return checkout


def _put(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the ``step``-th call of git or removal of a file on, the process is dead.

    Every second kill happens in the middle of a work tree's update.
    """
    count = itertools.count(1)
    real_output = Repository.output

    def output(self: Repository, *args: Any, **more: Any) -> bytes:
        if next(count) < step:
            return real_output(self, *args, **more)
        if (args[0] == "checkout-index" or "-u" in args) and step % 2:
            _half_write(self.path)
        raise Killed

    monkeypatch.setattr(Repository, "output", output)


def _half_write(root: Path) -> None:
    """Leave what a killed git does: some new files, one cut off, a lock."""
    (root / "new").mkdir(exist_ok=True)
    (root / "new" / "file.c").write_text("new 0\nnew 1\nne")
    (root / "going" / "away.c").unlink(missing_ok=True)
    (root / ".git" / "index.lock").write_text("")


def arrived(moved: Checkout) -> bool:
    root = moved.tree
    return (
        "line twenty" in (root / "init" / "main.c").read_text()
        and (root / "new" / "file.c").read_text().endswith("new 49\n")
        and not (root / "going").exists()
        and bool((root / "Kbuild").stat().st_mode & 0o100)
        and git(root, "status", "--porcelain") == ""
    )


@pytest.mark.parametrize("first", range(1, _STEPS, 4))
def test_a_switch_that_is_killed_twice_arrives(
    moved: Checkout, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    for second in (first, 9, 12):
        with monkeypatch.context() as patched, contextlib.suppress(Killed):
            killed_at(first, patched)
            tree.prepare(moved.project, quiet)
        with monkeypatch.context() as patched, contextlib.suppress(Killed):
            killed_at(second, patched)
            tree.prepare(moved.project, quiet)
    tree.prepare(moved.project, quiet)
    assert arrived(moved)


@pytest.mark.parametrize("step", range(7, 24, 2))
def test_an_edit_after_a_kill_is_not_overwritten(
    moved: Checkout, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        killed_at(step, patched)
        tree.prepare(moved.project, quiet)
    edited = {
        moved.tree / "init" / "main.c": "// mine\n",
        moved.tree / "Makefile": "# mine, and no part of the switch\n",
    }
    for path, text in edited.items():
        path.write_text(text)
    for _ in range(2):  # the next command also refuses
        with contextlib.suppress(UserError):  # there was nothing left to do
            tree.prepare(moved.project, quiet)
        assert {path: path.read_text() for path in edited} == edited


def test_a_refused_switch_is_not_finished_by_the_next_command(moved: Checkout) -> None:
    """A file of the user is where the series puts one; git ignores it."""
    (moved.tree / ".git" / "info" / "exclude").write_text("new/\n")
    (moved.tree / "new").mkdir()
    mine = moved.tree / "new" / "file.c"
    mine.write_text("mine\n")
    for _ in range(2):
        with pytest.raises(UserError, match="file"):
            tree.prepare(moved.project, quiet)
        assert mine.read_text() == "mine\n"
    mine.unlink()
    tree.prepare(moved.project, quiet)
    assert arrived(moved)
