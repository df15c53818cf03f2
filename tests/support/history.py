# SPDX-License-Identifier: GPL-2.0-only
"""A small repository of both halves whose history a test writes; nothing in it is compiled.

It tracks its kernel (a ``linux/`` with a Makefile), so no source is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.project import Project
from support.checkout import git

KERNEL = "linux/main.c"
VMM = "tools/kvm/src/main.cpp"
DOCS = "README.md"

# Runs ``./invoke bisect`` with a script and options; returns the report as JSON.
Bisect = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class History:
    """The repository, with functions that make commits in it."""

    project: Project

    @classmethod
    def make(cls, root: Path) -> History:
        for name in (KERNEL, VMM, DOCS, "linux/Makefile", "linux/Kbuild"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("0\n")
        (root / ".gitignore").write_text("/build/\n")
        git(root, "init", "-q", "--initial-branch=main")
        history = cls(Project(root))
        history._commit("base")
        return history

    @property
    def root(self) -> Path:
        return self.project.root

    def commit(self, subject: str, **files: str) -> str:
        """Write ``kernel``, ``vmm`` or ``docs`` and commit; return the commit's id."""
        for key, text in files.items():
            (self.root / {"kernel": KERNEL, "vmm": VMM, "docs": DOCS}[key]).write_text(text)
        return self._commit(subject)

    def _commit(self, subject: str) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "-q", "--allow-empty", "-m", subject)
        return self.head

    @property
    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD").strip()

    def state(self) -> dict[str, bytes | str]:
        """All that a bisection must not touch: files, index, refs."""
        found: dict[str, bytes | str] = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not {".git", "build"} & set(path.relative_to(self.root).parts)
        }
        return {
            **found,
            "index": git(self.root, "ls-files", "-s"),
            "refs": git(self.root, "for-each-ref"),
            "head": (self.root / ".git" / "HEAD").read_text(),
        }
