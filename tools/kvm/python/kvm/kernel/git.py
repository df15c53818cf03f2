# SPDX-License-Identifier: GPL-2.0-only
"""The git calls that the kernel tree needs, on one repository."""

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

# Set by a hook for the outer repository, or by a user for other commands.
_NOT_OURS = (
    *("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_COMMON_DIR"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
    *("GIT_AUTHOR_DATE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_DIFF_OPTS"),
    *("GIT_EXTERNAL_DIFF", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS"),
    *("GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_REPLACE_REF_BASE", "GIT_ATTR_SOURCE", "GIT_INDEX_VERSION", "GIT_DEFAULT_HASH"),
)

# The user's and the system's configuration are ignored. A repository's own can't be, so settings
# that would change a patch, an id or a commit are overridden.
_CONFIG = {
    "safe.directory": "*",
    "core.hooksPath": "/dev/null",
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.ignoreCase": "false",
    "core.fsmonitor": "false",
    "core.quotePath": "true",
    "diff.noprefix": "false",
    "diff.mnemonicPrefix": "false",
    "diff.srcPrefix": "a/",
    "diff.dstPrefix": "b/",
    "diff.relative": "false",
    "diff.renames": "false",
    "diff.algorithm": "myers",
    "diff.context": "3",
    "diff.interHunkContext": "0",
    "diff.indentHeuristic": "true",
    "diff.suppressBlankEmpty": "false",
    "diff.orderFile": "/dev/null",
    "diff.ignoreSubmodules": "none",
    "format.signOff": "false",
    "format.from": "false",
    "format.attach": "",
    "format.thread": "false",
    "format.headers": "",
    "format.subjectPrefix": "PATCH",
    "format.encodeEmailHeaders": "true",
    "format.useAutoBase": "false",
    "format.notes": "false",
    "commit.gpgSign": "false",
    "commit.cleanup": "default",
    "commit.template": "",
    "apply.whitespace": "nowarn",
    "apply.ignoreWhitespace": "no",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "mailinfo.scissors": "false",
    "log.showSignature": "false",
    "color.ui": "false",
    "status.showUntrackedFiles": "normal",
    "status.renames": "false",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}


def _sealed() -> dict[str, str | None]:
    """An environment in which git behaves the same for every user."""
    sealed: dict[str, str | None] = dict.fromkeys(_NOT_OURS)
    sealed |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    sealed |= {"LANGUAGE": None, "GIT_CONFIG_COUNT": str(len(_CONFIG))}
    for number, (key, value) in enumerate(_CONFIG.items()):
        sealed |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return sealed


@dataclass(frozen=True, slots=True)
class Repository:
    """A git work tree, treated the same whatever its user has configured."""

    path: Path
    shadow: Path | None = None  # our own git folder for a tree that must not be written to

    def call(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> str:
        """Run git; return its stdout without the trailing newline. Raises ``CommandError``."""
        output = self.output(*args, env=env, stdin=stdin)
        return output.decode(errors="surrogateescape").rstrip("\n")

    def output(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> bytes:
        return process.capture(
            ("git", *args),
            cwd=self.path,
            env={**self._environment(), **(env or {})},
            stdin=stdin,
            timeout_s=600,
        )

    def users_own(self, *args: str) -> str:
        """Git's output with the user's own configuration; "" if git fails."""
        outer = dict.fromkeys(("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"))
        try:
            said = process.capture(("git", *args), cwd=self.path, env=outer)
        except process.CommandError:
            return ""
        return said.decode(errors="surrogateescape").rstrip("\n")

    def run(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> process.Completed:
        """Run git with stdout and stderr merged, for calls whose messages matter."""
        return process.run(
            ("git", *args),
            cwd=self.path,
            env={**self._environment(), **(env or {})},
            stdin=stdin,
            check=check,
            on_line=on_line,
            timeout_s=1800,
        )

    def _environment(self) -> dict[str, str | None]:
        made = {**_sealed(), **_IDENTITY}
        if self.shadow is not None:
            made |= {"GIT_DIR": str(self.shadow), "GIT_WORK_TREE": str(self.path)}
        return made

    @property
    def git_dir(self) -> Path:
        return (self.path / self.call("rev-parse", "--git-dir")).resolve()

    def commit_of(self, revision: str) -> str | None:
        """The full commit id; None if there is no such revision."""
        try:
            return self.call("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except process.CommandError:
            return None

    def is_dirty(self) -> bool:
        """Whether the work tree or index differs from HEAD (untracked files count)."""
        return bool(self.call("status", "--porcelain"))

    @contextlib.contextmanager
    def scratch_index(self, start: str | None = None) -> Iterator[dict[str, str]]:
        """A temporary index: a copy of the real one (its stat cache makes ``add`` quick), or, with
        ``start``, that tree. The real index stays as it is; a shadow's gets the new stat data."""
        git_dir = self.git_dir
        with tempfile.TemporaryDirectory(prefix="tools-kvm-index-") as folder:
            index = Path(folder) / "index"
            env = {"GIT_INDEX_FILE": str(index)}
            if start is not None:
                self.call("read-tree", start, env=env)
            elif (git_dir / "index").exists():
                shutil.copy2(git_dir / "index", index)
            yield env
            if self.shadow is not None and start is None:
                learned = git_dir / f"index.{os.getpid()}.part"
                shutil.copy2(index, learned)
                os.replace(learned, git_dir / "index")

    @classmethod
    def shadowed(cls, path: Path, shadow: Path) -> Repository:
        """A work tree whose own repository, if it has one, is only read.

        Ids need objects and an index; those go to ``shadow``, which borrows the tree's objects.
        """
        if not (shadow / "HEAD").exists():
            shadow.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=shadow.parent, prefix="new-") as scratch:
                made = Path(scratch) / "git"
                process.capture(
                    ("git", "init", "--quiet", "--bare", "--template=", made), env=_sealed()
                )
                cls(path)._lend(made)
                with contextlib.suppress(OSError):  # another command was faster
                    made.rename(shadow)
        return cls(path, shadow)

    def _lend(self, shadow: Path) -> None:
        try:
            objects = self.path / self.call("rev-parse", "--git-path", "objects")
            index = self.path / self.call("rev-parse", "--git-path", "index")
        except process.CommandError:
            return  # no repository, but an unpacked tarball
        (shadow / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (shadow / "objects" / "info" / "alternates").write_text(f"{objects.resolve()}\n")
        if index.exists():
            shutil.copy2(index, shadow / "index")
