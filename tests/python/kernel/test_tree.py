# SPDX-License-Identifier: GPL-2.0-only
"""The pinned tree follows pin and patches, and never loses a user's changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel import identity, tree
from support.checkout import FILES, Checkout, git


def quiet(text: str) -> None:
    pass


def edit(checkout: Checkout, line: int, text: str) -> None:
    path = checkout.tree / "init" / "main.c"
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


def test_first_use_imports_the_pin_as_one_commit(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    assert ready.mode is tree.Mode.PINNED
    assert (ready.path / "init" / "main.c").read_text() == FILES["init/main.c"]
    assert len(git(ready.path, "log", "--format=%s").splitlines()) == 1
    assert not (checkout.project.linux / "tree.import").exists()


def test_an_interrupted_import_restarts(checkout: Checkout) -> None:
    left = checkout.project.linux / "tree.import"
    left.mkdir()
    (left / "half").write_text("x")
    tree.prepare(checkout.project, quiet)
    assert not left.exists()
    assert not (checkout.tree / "half").exists()


def test_save_turns_edits_into_a_patch_that_a_fresh_tree_gets(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    names = tree.save(checkout.project, quiet, message="init: edit line 3")
    assert names == ("0001-init-edit-line-3.patch",)
    before = identity.source_id(tree.locate(checkout.project)).tree
    (checkout.tree).rename(checkout.project.root / "old")
    tree.prepare(checkout.project, quiet)
    assert identity.source_id(tree.locate(checkout.project)).tree == before
    assert git(checkout.tree, "log", "-1", "--format=%s").strip() == "init: edit line 3"


def test_save_is_idempotent_and_byte_stable(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    names = tree.save(checkout.project, quiet)
    first = (checkout.patches / names[0]).read_bytes()
    assert tree.save(checkout.project, quiet) == names
    (checkout.tree / ".git" / "tools-kvm.json").unlink()
    assert tree.save(checkout.project, quiet) == names
    assert (checkout.patches / names[0]).read_bytes() == first


def test_a_changed_series_moves_a_clean_tree(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    tree.save(checkout.project, quiet)
    (checkout.patches / "series").write_text("# nothing\n")
    tree.prepare(checkout.project, quiet)
    assert (checkout.tree / "init" / "main.c").read_text() == FILES["init/main.c"]
    assert not git(checkout.tree, "status", "--porcelain")


@pytest.mark.parametrize("committed", [False, True])
def test_a_changed_series_is_refused_over_unsaved_work(checkout: Checkout, committed: bool) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "saved")
    tree.save(checkout.project, quiet)
    edit(checkout, 20, "mine")
    if committed:
        git(checkout.tree, "commit", "-qam", "mine")
    (checkout.patches / "series").write_text("")
    with pytest.raises(UserError, match="unsaved") as refused:
        tree.prepare(checkout.project, quiet)
    assert "kernel.save" in refused.value.hint
    assert "mine" in (checkout.tree / "init" / "main.c").read_text()


def test_a_switch_killed_half_way_is_finished(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    tree.save(checkout.project, quiet)
    tip = git(checkout.tree, "rev-parse", "HEAD").strip()
    base = git(checkout.tree, "rev-parse", "HEAD~").strip()
    half = (checkout.tree / "init" / "main.c").read_text()[:25]
    git(checkout.tree, "reset", "-q", "--hard", base)
    (checkout.tree / "init" / "main.c").write_text(half)
    (checkout.tree / ".git" / "index.lock").write_text("")
    state = checkout.tree / ".git" / "tools-kvm.json"
    known = json.loads(state.read_text())
    state.write_text(json.dumps({**known, "series": "", "tip": base, "moving_to": tip}))
    tree.prepare(checkout.project, quiet)
    assert "edited" in (checkout.tree / "init" / "main.c").read_text()
    assert not git(checkout.tree, "status", "--porcelain")


def test_a_patch_that_does_not_apply_names_its_hunk_and_changes_nothing(
    checkout: Checkout,
) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    (name,) = tree.save(checkout.project, quiet)
    patch = checkout.patches / name
    patch.write_text(patch.read_text().replace("-line 3", "-line three"))
    head = git(checkout.tree, "rev-parse", "HEAD")
    with pytest.raises(UserError, match="does not apply") as failed:
        tree.prepare(checkout.project, quiet)
    assert name in failed.value.message
    assert "@@ -1,6 +1,6 @@" in failed.value.message
    assert git(checkout.tree, "rev-parse", "HEAD") == head
    assert not git(checkout.tree, "status", "--porcelain")


def test_a_series_line_without_a_file_names_the_line(checkout: Checkout) -> None:
    (checkout.patches / "series").write_text("# comment\nmissing.patch\n")
    with pytest.raises(UserError, match=r"series:2: missing\.patch"):
        tree.prepare(checkout.project, quiet)


def test_a_new_pin_replaces_a_clean_tree(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    checkout.repin("6.12.2", {**FILES, "new.c": "new\n"})
    tree.prepare(checkout.project, quiet)
    assert (checkout.tree / "new.c").exists()


def test_a_new_pin_is_refused_over_unsaved_edits(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "mine")
    checkout.repin("6.12.2", FILES)
    with pytest.raises(UserError, match="unsaved edits"):
        tree.prepare(checkout.project, quiet)
    assert "mine" in (checkout.tree / "init" / "main.c").read_text()


def test_identity_is_of_content_not_of_commits(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    clean = identity.source_id(ready)
    edit(checkout, 3, "edited")
    dirty = identity.source_id(ready)
    git(ready.path, "commit", "-qam", "the same edit")
    assert identity.source_id(ready) == dirty
    assert dirty.tree != clean.tree
    assert dirty.uapi == clean.uapi
    (ready.path / "include/uapi/linux/kvm.h").write_text("#define KVM_API_VERSION 13\n")
    assert identity.source_id(ready).uapi != clean.uapi


def test_identity_leaves_the_index_alone(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    (ready.path / "new.c").write_text("new\n")
    before = git(ready.path, "status", "--porcelain")
    identity.source_id(ready)
    assert git(ready.path, "status", "--porcelain") == before


def test_identity_is_what_git_itself_makes_of_the_work_tree(checkout: Checkout) -> None:
    """Each kind of change at once: what is added, removed, replaced, a repository, a link."""
    ready = tree.prepare(checkout.project, quiet)
    edit(checkout, 3, "edited")
    (ready.path / "Kbuild").unlink()
    (ready.path / "Kbuild").mkdir()
    (ready.path / "Kbuild" / "was a file").write_text("new\n")
    (ready.path / "include/uapi/linux/kvm.h").unlink()
    (ready.path / "link").symlink_to("init")
    (ready.path / "run.sh").write_text("#!/bin/sh\n")
    (ready.path / "run.sh").chmod(0o755)
    (ready.path / "left.o").write_text("compiled\n")
    assert identity.source_id(ready).tree == _by_git(ready.path)
    git(ready.path, "init", "-q", "other")
    (ready.path / "other" / "new.c").write_text("new\n")
    git(ready.path / "other", "add", "--all")
    git(ready.path / "other", "commit", "-qm", "a repository in the tree")
    assert identity.source_id(ready).tree == _by_git(ready.path)


def _by_git(path: Path) -> str:
    git(path, "add", "--all", ".")
    made = git(path, "write-tree").strip()
    git(path, "reset", "-q")
    return made


HIDING = "*.o\n# packaging: hide the top level\n/*\n!/debian/\n"


def test_new_files_count_and_are_saved_where_a_distribution_hides_them(checkout: Checkout) -> None:
    checkout.repin("6.12.2", {**FILES, ".gitignore": HIDING})
    ready = tree.prepare(checkout.project, quiet)
    clean = identity.source_id(ready).tree
    (ready.path / "init" / "new.c").write_text("new\n")
    (ready.path / "init" / "new.o").write_text("compiled\n")
    assert identity.source_id(ready).tree != clean
    (name,) = tree.save(checkout.project, quiet, message="init: add a file")
    patch = (checkout.patches / name).read_text()
    assert "init/new.c" in patch
    assert "new.o" not in patch


def test_a_tree_imported_in_an_older_way_is_imported_anew(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    state = ready.path / ".git" / "tools-kvm.json"
    record = json.loads(state.read_text())
    state.write_text(json.dumps({k: v for k, v in record.items() if k != "imported"}))
    edit(checkout, 3, "mine")
    with pytest.raises(UserError, match="unsaved edits"):
        tree.prepare(checkout.project, quiet)
    git(ready.path, "checkout", "-q", ".")
    tree.prepare(checkout.project, quiet)
    assert json.loads(state.read_text()) == record


def test_external_mode_uses_the_named_clone(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    for name, text in FILES.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    git(clone, "init", "-q")
    monkeypatch.setenv("KERNEL_TREE", str(clone))
    ready = tree.prepare(checkout.project, quiet)
    assert (ready.mode, ready.path) == (tree.Mode.EXTERNAL, clone)
    assert identity.source_id(ready).tree
    with pytest.raises(UserError, match="external"):
        tree.save(checkout.project, quiet)


@pytest.mark.parametrize("kind", ["clone", "tarball", "work tree of a clone"])
def test_an_external_tree_is_only_read(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    clone = tmp_path / "clone"
    for name, text in FILES.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    chosen = clone
    if kind != "tarball":
        git(clone, "init", "-q")
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", "all")
    if kind == "work tree of a clone":
        chosen = tmp_path / "other"
        git(clone, "worktree", "add", "-q", str(chosen))
    monkeypatch.setenv("KERNEL_TREE", str(chosen))
    (chosen / "init" / "main.c").write_text("// edited\n")
    (chosen / "new.c").write_text("// new\n")

    def listing() -> dict[Path, bytes]:
        """The files; git may renew the time stamp of an object that it would have written."""
        files = (p for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts)
        return {p: p.read_bytes() for p in files}

    before = listing()
    ready = tree.prepare(checkout.project, quiet)
    first = identity.source_id(ready)
    assert identity.source_id(ready) == first
    assert listing() == before
    (chosen / "new.c").write_text("// newer\n")
    second = identity.source_id(ready)
    assert identity.changed_files(ready, first.tree, second.tree) == (chosen / "new.c",)


def _hide_by_the_tree(folder: Path) -> None:
    (folder / ".gitignore").write_text("/*\n")


def _hide_by_the_user(folder: Path) -> None:
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "exclude").write_text("mine/\n*.c\n")


@pytest.mark.parametrize(
    ("kind", "hide"),
    [("tarball", _hide_by_the_tree), ("clone", _hide_by_the_tree), ("clone", _hide_by_the_user)],
    ids=["tarball", "clone", "clone, by the user"],
)
def test_a_source_that_git_ignores_counts(
    checkout: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    hide: Callable[[Path], None],
) -> None:
    """make reads it nevertheless; Debian's sources ignore all of their own files."""
    tree_folder = tmp_path / "tree"
    for name, text in FILES.items():
        (tree_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tree_folder / name).write_text(text)
    if kind == "clone":
        git(tree_folder, "init", "-q")
        git(tree_folder, "add", "-A")
        git(tree_folder, "commit", "-qm", "all")
    hide(tree_folder)
    monkeypatch.setenv("KERNEL_TREE", str(tree_folder))
    _ids_follow(tree.prepare(checkout.project, quiet))


def test_a_source_that_git_ignores_counts_in_the_pinned_tree(checkout: Checkout) -> None:
    ready = tree.prepare(checkout.project, quiet)
    _hide_by_the_user(ready.path)
    _ids_follow(ready)


def _ids_follow(ready: tree.Tree) -> None:
    """An edited file, a new one, and one in a hidden folder each change the id, and are named."""
    (ready.path / "mine").mkdir()
    before = identity.source_id(ready)
    for name in ("init/main.c", "new.c", "mine/Kconfig", "mine/driver.c", "new.c"):
        with (ready.path / name).open("a") as file:
            file.write("// edited\n")
        now = identity.source_id(ready)
        assert identity.changed_files(ready, before.tree, now.tree) == (ready.path / name,)
        before = now


def test_external_mode_refuses_what_is_no_kernel(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNEL_TREE", str(tmp_path))
    with pytest.raises(UserError, match="no kernel tree"):
        tree.prepare(checkout.project, quiet)


def test_tracked_mode_identifies_only_the_kernel(checkout: Checkout) -> None:
    root = checkout.project.root
    for name, text in FILES.items():
        (root / "linux" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "linux" / name).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    ready = tree.prepare(checkout.project, quiet)
    assert ready.mode is tree.Mode.TRACKED
    before = identity.source_id(ready)
    (root / "tools" / "kvm" / "vmm.cpp").write_text("// edited\n")
    assert identity.source_id(ready) == before
    (root / "linux" / "init" / "main.c").write_text("// edited\n")
    assert identity.source_id(ready).tree != before.tree
