# SPDX-License-Identifier: GPL-2.0-only
"""The few git calls the kernel tree needs, on one repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kvm import process

_IDENTITY = {
    "GIT_AUTHOR_NAME": "tools-kvm",
    "GIT_AUTHOR_EMAIL": "tools-kvm@localhost",
    "GIT_COMMITTER_NAME": "tools-kvm",
    "GIT_COMMITTER_EMAIL": "tools-kvm@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}

# A git hook runs with these set to the outer repository; they must not leak in.
_INHERITED = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True, slots=True)
class Repository:
    """A git work tree."""

    path: Path

    def call(self, *args: str | Path, env: Mapping[str, str] | None = None) -> str:
        """Run git; its stdout without the trailing newline. Raises ``CommandError``."""
        return self.output(*args, env=env).decode(errors="surrogateescape").rstrip("\n")

    def output(self, *args: str | Path, env: Mapping[str, str] | None = None) -> bytes:
        for name in _INHERITED:
            os.environ.pop(name, None)
        return process.capture(
            ("git", *args), cwd=self.path, env={**_IDENTITY, **(env or {})}, timeout_s=600
        )

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> process.Completed:
        """Run git with stdout and stderr merged, for calls whose words matter."""
        for name in _INHERITED:
            os.environ.pop(name, None)
        return process.run(
            ("git", *args),
            cwd=self.path,
            env={**_IDENTITY, **(env or {})},
            stdin=stdin,
            check=check,
            on_line=on_line,
            timeout_s=1800,
        )

    @property
    def git_dir(self) -> Path:
        return (self.path / self.call("rev-parse", "--git-dir")).resolve()

    def commit_of(self, revision: str) -> str | None:
        """The full commit id, or None when there is no such revision."""
        argv = ("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        done = self.run(*argv, check=False)
        return done.output.strip() if done.ok else None

    def is_dirty(self) -> bool:
        """True when the work tree or index differs from HEAD (untracked files count)."""
        return bool(self.call("status", "--porcelain"))

    @contextlib.contextmanager
    def scratch_index(self, start: str | None = None) -> Iterator[dict[str, str]]:
        """An index of our own: a copy of the real one (its stat cache makes
        ``add`` quick), or, with ``start``, that tree. The real index stays as it is."""
        git_dir = self.git_dir
        with tempfile.TemporaryDirectory(prefix="tools-kvm-index-") as folder:
            index = Path(folder) / "index"
            env = {"GIT_INDEX_FILE": str(index)}
            if start is not None:
                self.call("read-tree", start, env=env)
            elif (git_dir / "index").exists():
                shutil.copy2(git_dir / "index", index)
            yield env
