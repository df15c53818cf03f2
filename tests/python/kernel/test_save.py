# SPDX-License-Identifier: GPL-2.0-only
"""``kernel.save`` keeps what it does not know, and refuses if it would drop patches."""

from __future__ import annotations

import pytest

from kvm.errors import UserError
from kvm.kernel import tree
from support.checkout import Checkout, git


def quiet(text: str) -> None:
    pass


@pytest.fixture
def two(checkout: Checkout) -> Checkout:
    """A tree with two patches, whose series has comments."""
    tree.prepare(checkout.project, quiet)
    for name in ("one", "two"):
        (checkout.tree / f"{name}.c").write_text(f"{name}\n")
        tree.save(checkout.project, quiet, message=f"add {name}")
    (checkout.patches / "series").write_text(
        "# Ours, in order.\n0001-add-one.patch  # until 6.14\n\n"
        "# 0009-a-patch-that-waits.patch\n0002-add-two.patch\n"
    )
    tree.prepare(checkout.project, quiet)
    return checkout


def test_comments_and_files_of_others_stay(two: Checkout) -> None:
    for name in ("0009-a-patch-that-waits.patch", "README", "0001-of-somebody.patch"):
        (two.patches / name).write_text("mine\n")
    (two.tree / "three.c").write_text("three\n")
    tree.save(two.project, quiet, message="add three")
    assert (two.patches / "series").read_text() == (
        "# Ours, in order.\n0001-add-one.patch  # until 6.14\n\n"
        "# 0009-a-patch-that-waits.patch\n0002-add-two.patch\n0003-add-three.patch\n"
    )
    for name in ("0009-a-patch-that-waits.patch", "README", "0001-of-somebody.patch"):
        assert (two.patches / name).read_text() == "mine\n"


def test_a_patch_that_went_takes_its_file_along_and_leaves_its_comment(two: Checkout) -> None:
    git(two.tree, "rebase", "-q", "--onto", "HEAD~2", "HEAD~1")
    tree.save(two.project, quiet)
    assert sorted(path.name for path in two.patches.iterdir()) == ["0001-add-two.patch", "series"]
    assert (two.patches / "series").read_text() == (
        "\n# 0009-a-patch-that-waits.patch\n0001-add-two.patch\n# Ours, in order.\n"
    )


@pytest.mark.parametrize("where", ["detached", "rebase", "bisect", "cherry-pick", "older branch"])
def test_a_head_that_is_elsewhere_is_refused(two: Checkout, where: str) -> None:
    before = {path.name: path.read_bytes() for path in two.patches.iterdir()}
    if where == "detached":
        git(two.tree, "checkout", "-q", "--detach", "HEAD~1")
    elif where == "rebase":
        (two.tree / ".git" / "rebase-merge").mkdir()
    elif where == "bisect":
        git(two.tree, "bisect", "start", "HEAD", "HEAD~2")
    elif where == "cherry-pick":
        (two.tree / ".git" / "CHERRY_PICK_HEAD").write_text(git(two.tree, "rev-parse", "HEAD"))
    else:
        git(two.tree, "checkout", "-q", "--orphan", "other")
        git(two.tree, "commit", "-qm", "unrelated")
    with pytest.raises(UserError, match=r"middle of|no branch|does not begin"):
        tree.save(two.project, quiet)
    assert {path.name: path.read_bytes() for path in two.patches.iterdir()} == before
