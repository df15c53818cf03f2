# SPDX-License-Identifier: GPL-2.0-only
"""Moves a pinned tree from one commit to another, so that a kill at any point does no harm.

Called by ``tree.py``, which records where the tree is going before ``begin`` and its arrival
afterwards; a command that finds it under way calls ``finish``. What a kill can leave behind:

    killed                                  the tree then, and what finish() does
    before git changed anything             as it was: all files are brought over
    while git wrote files                   old, new, missing and cut-off files: brought over
    after that, before HEAD moved           new files, old HEAD: HEAD is moved
    after HEAD moved                        nothing is left to do
    in finish(), anywhere                   one of these again

A file that is neither old, new, missing nor a prefix of the new one was edited since: then
nothing is done, and the user gets an error. Git compares contents, so time stamps do not matter.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.kernel.git import Repository
from kvm.process import CommandError

_NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs; an all-zero blob stands for "not there"."""

    path: str
    old: str
    new: str
    new_mode: str


def begin(repository: Repository, old: str, new: str) -> None:
    """Bring the work tree and HEAD from ``old`` to ``new``.

    Only changed files are rewritten. Raises ``UserError``, without any change, if a file of the
    user is in the way.
    """
    # Git itself overwrites a file that .gitignore covers.
    ignored = [
        change.path
        for change in _changes(repository, old, new)
        if change.old == _NOTHING and not _is_on_its_way(repository, change)
    ]
    try:
        if not ignored:
            repository.call("read-tree", "-m", "-u", old, new)
    except CommandError as refused:
        ignored = refused.completed.output.strip().splitlines()
    if ignored:
        raise UserError(
            f"the kernel tree cannot follow linux/patches: in the way is {', '.join(ignored)}",
            "move it elsewhere, or keep it with ./invoke kernel.save",
        )
    _move_head(repository, new)


def finish(repository: Repository, old: str, new: str) -> None:
    """Complete a switch that was killed. Raises ``UserError`` naming the files edited since."""
    (repository.git_dir / "index.lock").unlink(missing_ok=True)  # left by the killed git
    changes = _changes(repository, old, new)
    edited = [change.path for change in changes if not _is_on_its_way(repository, change)]
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise UserError(
            f"the kernel tree's switch to another linux/patches was interrupted, and {edited[0]}"
            f"{more} was edited since",
            f"put the edit aside (mv {repository.path / edited[0]} /tmp), run the command again, "
            "then bring the edit back",
        )
    entries = "".join(
        f"{'0' if c.new == _NOTHING else c.new_mode} {c.new}\t{c.path}\0" for c in changes
    )
    repository.call(
        "update-index", "-z", "--index-info", stdin=entries.encode("utf-8", "surrogateescape")
    )
    present = "".join(f"{c.path}\0" for c in changes if c.new != _NOTHING)
    repository.call(
        "checkout-index", "-f", "-z", "--stdin", stdin=present.encode("utf-8", "surrogateescape")
    )
    for change in changes:
        if change.new == _NOTHING:
            _remove(repository.path, Path(change.path))
    _move_head(repository, new)


def _move_head(repository: Repository, new: str) -> None:
    repository.call("update-ref", "-m", "tools-kvm: follow linux/patches", "HEAD", new)


def _changes(repository: Repository, old: str, new: str) -> list[Change]:
    listing = repository.output("diff-tree", "-r", "-z", "--no-renames", "--raw", old, new)
    fields = listing.decode(errors="surrogateescape").split("\0")
    found = []
    for words, path in zip(fields[::2], fields[1::2], strict=False):
        _, new_mode, before, after, _ = words.split()
        found.append(Change(path, before, after, new_mode))
    return found


def _is_on_its_way(repository: Repository, change: Change) -> bool:
    """Whether the file is one that git has written, has yet to write, or was just writing."""
    path = repository.path / change.path
    if path.is_symlink():
        data = os.fsencode(path.readlink())
    elif not path.exists():
        return True
    elif not path.is_file():
        return False
    else:
        data = path.read_bytes()
    if repository.call("hash-object", "--no-filters", "--stdin", stdin=data) in (
        change.old,
        change.new,
    ):
        return True
    return change.new != _NOTHING and repository.output("cat-file", "blob", change.new).startswith(
        data
    )


def _remove(root: Path, path: Path) -> None:
    """Remove the file and the folders that become empty."""
    (root / path).unlink(missing_ok=True)
    for folder in path.parents[:-1]:
        try:
            (root / folder).rmdir()
        except OSError:
            return
