# SPDX-License-Identifier: GPL-2.0-only
"""A checkout at another revision has its files and patches, and does not change ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel import identity, tree
from kvm.project import Project
from kvm.run import revision
from support.checkout import FILES, Checkout, git


def quiet(text: str) -> None:
    pass


@pytest.fixture
def checkout(checkout: Checkout) -> Checkout:
    """One that is a repository, as a user's."""
    root = checkout.project.root
    (root / ".gitignore").write_text("/build/\n/linux/tree/\n/source-*\n*.tar.gz\n")
    git(root, "init", "-q")
    return checkout


def commit(checkout: Checkout, name: str) -> str:
    (checkout.project.root / "tools" / "kvm" / "vmm.txt").write_text(f"{name}\n")
    git(checkout.project.root, "add", "--all")
    git(checkout.project.root, "commit", "-q", "--no-verify", "-m", name)
    return git(checkout.project.root, "rev-parse", "HEAD").strip()


def change_kernel(checkout: Checkout, text: str) -> None:
    (checkout.tree / "init" / "main.c").write_text(text)
    tree.save(checkout.project, quiet, message=f"init: say {text.strip()}")


def state(checkout: Checkout) -> tuple[str, str, str]:
    root = checkout.project.root
    kernel = git(checkout.tree, "status", "--porcelain") + git(checkout.tree, "rev-parse", "HEAD")
    return git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD"), kernel


def test_both_halves_are_as_they_were(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    first = commit(checkout, "first")
    change_kernel(checkout, "second\n")
    second = commit(checkout, "second")
    (checkout.project.root / "tools" / "kvm" / "vmm.txt").write_text("an edit\n")
    before = state(checkout)
    for name, commit_id, main in (
        ("first", first, FILES["init/main.c"]),
        ("second", second, "second\n"),
        ("first", first, FILES["init/main.c"]),
    ):
        old = revision.checkout(checkout.project, commit_id, quiet)
        ready = tree.prepare(old, quiet)
        assert (old.root / "tools" / "kvm" / "vmm.txt").read_text() == f"{name}\n"
        assert (ready.path / "init" / "main.c").read_text() == main
    assert state(checkout) == before


def test_equal_kernels_have_equal_ids(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    old = revision.checkout(checkout.project, commit(checkout, "only"), quiet)
    assert identity.source_id(tree.prepare(old, quiet)) == identity.source_id(ready)


def test_what_names_no_commit_is_refused(checkout: Checkout) -> None:
    commit(checkout, "only")
    with pytest.raises(UserError, match="no-such-branch names no commit"):
        revision.resolve(checkout.project, "no-such-branch")


def a_repository(path: Path, name: str) -> str:
    path.mkdir()
    git(path, "init", "-q")
    (path / "file").write_text(f"{name}\n")
    git(path, "add", "file")
    git(path, "commit", "-qm", name)
    return git(path, "rev-parse", "HEAD").strip()


def test_a_clone_of_another_repository_is_replaced(tmp_path: Path) -> None:
    """A bisection of one kernel tree leaves its clone where the next tree's belongs."""
    clone = tmp_path / "clone"
    commits = {name: a_repository(tmp_path / name, name) for name in ("one", "other")}
    for name, commit_id in commits.items():
        revision.clone(tmp_path / name, clone, quiet)
        assert git(clone, "show", f"{commit_id}:file") == f"{name}\n"
    (clone / "kept").touch()
    revision.clone(tmp_path / "other", clone, quiet)
    assert (clone / "kept").exists()


def test_a_checkout_that_was_moved_has_its_revisions_again(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    first = commit(checkout, "first")
    revision.checkout(checkout.project, first, quiet)
    moved = Project(checkout.project.root.rename(checkout.project.root.with_name("moved")))
    old = revision.checkout(moved, first, quiet)
    assert (tree.prepare(old, quiet).path / "init" / "main.c").read_text() == FILES["init/main.c"]
