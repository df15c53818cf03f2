# SPDX-License-Identifier: GPL-2.0-only
"""This checkout as it was at another revision, in a folder of its own.

``build/revision/checkout`` borrows the objects of this repository and of its kernel tree and
writes none to them. It is kept: switching to the next revision changes only files that differ,
so its build folders make builds incremental.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from kvm.errors import UserError
from kvm.kernel import tree
from kvm.kernel.git import Repository
from kvm.kernel.tree import Mode
from kvm.process import CommandError
from kvm.project import Project
from kvm.say import Say


def resolve(project: Project, revision: str) -> str:
    """The commit's full id. Raises ``UserError`` if ``revision`` names none."""
    commit = Repository(project.root).commit_of(revision)
    if commit is None:
        raise UserError(
            f"{revision} names no commit of {project.root}", "give a branch, tag or commit id"
        )
    return commit


def present(project: Project) -> str:
    """The checkout's commit, with ``+`` if there are uncommitted changes; "" outside git."""
    with contextlib.suppress(UserError):
        git = Repository(project.root)
        head = git.call("rev-parse", "--short=12", "HEAD")
        return head + ("+" if git.call("status", "--porcelain") else "")
    return ""


def checkout(project: Project, commit: str, say: Say, root: Path | None = None) -> Project:
    """Check out ``commit`` in ``root``, with a kernel tree ready to follow its patches."""
    root = root or project.build / "revision" / "checkout"
    clone(project.root, root, say)
    here = Repository(root)
    (here.git_dir / "index.lock").unlink(missing_ok=True)  # left by a killed git
    here.call("checkout", "--quiet", "--force", "--detach", commit)
    here.call("clean", "-fdq")
    made = Project(root)
    source = tree.locate(project)
    if source.mode is Mode.PINNED:
        if not (source.path / ".git" / tree.STATE_FILE).exists():
            tree.prepare(project, say)
        share_tree(source.path, made.linux / "tree", say)
    return made


def share_tree(origin: Path, path: Path, say: Say) -> None:
    """Make a kernel tree for the copy, at the origin's last saved state, from where it can move."""
    state = origin / ".git" / tree.STATE_FILE
    if (path / ".git" / tree.STATE_FILE).exists() and _borrows(path, origin):
        return
    shutil.rmtree(path, ignore_errors=True)
    clone(origin, path, say)
    here = Repository(path)
    for key, value in (("feature.manyFiles", "true"), ("gc.auto", "0"), ("core.fsync", "none")):
        here.call("config", key, value)
    here.call("checkout", "--quiet", "-B", "tools-kvm", json.loads(state.read_text())["tip"])
    shutil.copy(state, path / ".git" / tree.STATE_FILE)


def clone(origin: Path, path: Path, say: Say) -> None:
    """Make a repository at ``path`` that borrows ``origin``'s objects; keep one that does.

    One that borrows from elsewhere is replaced: it was made for another kernel tree, or its
    checkout has been moved since.
    """
    if (path / ".git" / "HEAD").exists() and _borrows(path, origin):
        return
    say(f"copying {origin.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.new")  # renamed when complete
    for old in (part, path):
        shutil.rmtree(old, ignore_errors=True)
    try:
        Repository(origin).run("clone", "--quiet", "--shared", "--no-checkout", origin, part)
    except CommandError as failed:
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(
            f"{origin} could not be copied: {failed.completed.output.strip()}", "fix that"
        ) from failed
    os.replace(part, path)


def _borrows(path: Path, origin: Path) -> bool:
    """Whether the repository at ``path`` takes objects from ``origin`` (git clone --shared)."""
    common = Repository(origin).call("rev-parse", "--path-format=absolute", "--git-common-dir")
    with contextlib.suppress(OSError):
        lenders = (path / ".git" / "objects" / "info" / "alternates").read_text().splitlines()
        return any(Path(one).samefile(Path(common) / "objects") for one in lenders)
    return False
