# SPDX-License-Identifier: GPL-2.0-only
"""Makes a copy of the checkout and its kernel tree, to break on purpose. Used by ``planted.py``.

``build/planted/checkout`` has the current files, uncommitted ones too, in repositories of its own
that borrow the originals' objects and write none to them. It is kept: only changes are copied
again, and its build folders make builds incremental.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.kernel import tree
from kvm.kernel.git import Repository
from kvm.kernel.tree import Mode
from kvm.process import CommandError
from kvm.project import Project
from kvm.say import Say

_GIB = 1 << 30
_NEEDED = 5 * _GIB  # the tree, its build folder and the VMM's


class PatchFailed(Exception):
    """A patch does not apply; the text is git's output."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Makes ``path`` a copy of ``origin``'s work tree."""

    origin: Path
    path: Path

    def sync(self) -> None:
        """Copy what differs, undo changes of the copy, remove files that the origin lacks."""
        here = Repository(self.path)
        if not (self.path / ".git" / "HEAD").exists():
            self._create(here)
        (here.git_dir / "index.lock").unlink(missing_ok=True)  # left by a killed git
        whole = self._snapshot()
        here.call("read-tree", "--reset", "-u", whole)
        here.call("update-ref", "refs/planted/base", whole)
        self.clean()

    def undo(self) -> None:
        """Go back to the state after ``sync``."""
        Repository(self.path).call("read-tree", "--reset", "-u", "refs/planted/base")
        self.clean()

    def clean(self) -> None:
        """Remove new files; ignored ones, such as build results, stay."""
        Repository(self.path).call("clean", "-fdq")

    def apply(self, patch: Path, folder: str = "") -> None:
        """Apply a patch, below ``folder``. Raises ``PatchFailed``."""
        where = (f"--directory={folder}",) if folder else ()
        try:
            Repository(self.path).run("apply", "--whitespace=nowarn", *where, patch)
        except CommandError as failed:
            raise PatchFailed(failed.completed.output.strip()) from failed

    def _create(self, here: Repository) -> None:
        shutil.rmtree(self.path / ".git", ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
        here.call("init", "--quiet")
        here.call("config", "gc.auto", "0")
        here.call("config", "core.fsync", "none")
        borrowed = here.git_dir / "objects" / "info" / "alternates"
        borrowed.parent.mkdir(parents=True, exist_ok=True)
        borrowed.write_text(f"{_objects(self.origin)}\n")

    def _snapshot(self) -> str:
        """The git tree of the origin's files; new objects are written only to the copy."""
        there = Repository(self.origin)
        own: Mapping[str, str] = {
            "GIT_OBJECT_DIRECTORY": str(_objects(self.path)),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(_objects(self.origin)),
        }
        with there.scratch_index() as env:
            there.call("add", "--all", env={**env, **own})
            return there.call("write-tree", env={**env, **own})


@dataclass(frozen=True, slots=True)
class Copy:
    """The checkout's copy with its kernel tree."""

    project: Project
    checkout: Mirror
    kernel: Mirror | None  # None: the checkout's own repository holds the kernel

    @property
    def environment(self) -> dict[str, str]:
        """Variables for commands in the copy; "" stands for one that must not be passed on."""
        return {
            "KERNEL_TREE": "" if self.kernel is None else str(self.kernel.path),
            "PYTHONPATH": str(self.project.root / "tools" / "kvm" / "python"),
            **dict.fromkeys(("O", "KBUILD_OUTPUT", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"), ""),
        }

    def apply(self, half: str, patch: Path) -> None:
        """Apply a patch to one half. Raises ``PatchFailed``."""
        if half == "vmm":
            self.checkout.apply(patch)
        elif self.kernel is None:
            self.checkout.apply(patch, folder="linux")
        else:
            self.kernel.apply(patch)

    def undo(self) -> None:
        for mirror in filter(None, (self.checkout, self.kernel)):
            mirror.undo()


def make(project: Project, say: Say) -> Copy:
    """Copy this checkout as it is now; the first time takes a while."""
    root = project.build / "planted" / "checkout"
    _check_space(project, root)
    checkout = Mirror(project.root, root)
    say("copying the checkout")
    checkout.sync()
    source = tree.prepare(project, say)
    kernel = None
    if source.mode is not Mode.TRACKED:
        # At the same place as in the checkout, so that the compiler cache knows its files.
        kernel = Mirror(source.path, root / "linux" / "tree")
        say("copying the kernel tree")
        kernel.sync()
    return Copy(Project(root), checkout, kernel)


def _check_space(project: Project, root: Path) -> None:
    free = shutil.disk_usage(project.root).free
    if not root.exists() and free < _NEEDED:
        raise UserError(
            f"{project.root} has {free // _GIB} GiB free, a copy needs {_NEEDED // _GIB}",
            "make room, then try again",
        )


def _objects(repository: Path) -> Path:
    """The folder of a repository's objects, also for a linked work tree."""
    found = Repository(repository).call("rev-parse", "--git-path", "objects")
    return (repository / found).resolve()
