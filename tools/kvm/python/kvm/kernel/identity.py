# SPDX-License-Identifier: GPL-2.0-only
"""Ids of builds: equal ids mean equal images.

A tree's id is the git tree of its current files, with edits and new files, so an edit and its
later commit have the same id.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kvm.kernel.git import Repository
from kvm.kernel.tree import Mode, Tree
from kvm.process import CommandError

# The files that headers_install reads: other changes can't affect the UAPI headers.
_UAPI = (
    "include/uapi",
    "include/asm-generic",
    "arch/x86/include/uapi",
    "arch/x86/entry/syscalls",
    "scripts/headers_install.sh",
    "scripts/unifdef.c",
    "Makefile",
)

# Files that make reads although git ignores them; not what tools leave behind (tags, *.orig).
_SOURCE = re.compile(
    rb"\.([chSs]|rs|dtsi?|lds|tbl|inc|[yl]|awk|sh|p[ly]|S_shipped|txt|config)$"
    rb"|(^|/)(Kconfig|Kbuild|Makefile)[^/]*$"
)


@dataclass(frozen=True, slots=True)
class SourceId:
    """The ids of one state of a kernel tree.

    ``tree`` covers every file; ``kconfig`` those that determine what a fragment resolves to;
    ``uapi`` those that make the UAPI headers.
    """

    tree: str
    kconfig: str
    uapi: str


def source_id(tree: Tree) -> SourceId:
    """Identify the work tree's current state (0.3 to 0.6 s for Linux)."""
    repository = tree.repository
    with repository.scratch_index() as env:
        add_all(tree, env)
        if tree.mode is Mode.TRACKED:
            # The kernel is a folder of a larger repository, whose other files are not its source.
            prefix = repository.call("rev-parse", "--show-prefix").rstrip("/")
            whole = repository.call("write-tree", f"--prefix={prefix}/", env=env)
        else:
            whole = repository.call("write-tree", env=env)
        kconfig = repository.output("ls-files", "-s", "--", "*Kconfig*", "scripts/kconfig", env=env)
    return SourceId(
        tree=whole,
        kconfig=hashlib.sha256(kconfig).hexdigest()[:16],
        uapi=_paths_id(repository, whole),
    )


def add_all(tree: Tree, env: Mapping[str, str]) -> None:
    """Add every file that make may read to ``env``'s index, even ignored ones.

    Debian's source ignores all of its own files (``/*``), and one of the user's patterns may hide
    a new source file: make compiles it all the same.
    """
    repository = tree.repository
    if tree.mode is Mode.EXTERNAL and not (tree.path / ".git").exists():
        repository.call("add", "--all", "--force", ".", env=env)
        return
    # Two walks through 87,000 files, and neither needs the other's answer.
    with ThreadPoolExecutor(1) as beside:
        # Git writes the index anew, and does not change the file that the other one reads.
        looking = beside.submit(repository.output, "ls-files", "-z", "-o", env=env)
        repository.call("add", "--update", ".", env=env)
        new = looking.result()
    if not new:
        return
    plain = repository.output("ls-files", "-z", "-o", "--exclude-standard", env=env)
    if b"/\0" in plain:  # a repository in the tree
        repository.call("add", "--all", ".", env=env)
        plain = b""
    hidden = [name for name in new.split(b"\0") if _SOURCE.search(name)]
    names = {*plain.split(b"\0"), *hidden} - {b""}
    if names:
        listing = b"\0".join((*sorted(names), b""))
        repository.output("update-index", "--add", "-z", "--stdin", env=env, stdin=listing)


def _paths_id(repository: Repository, tree_id: str) -> str:
    listing = repository.output("ls-tree", tree_id, "--", *_UAPI)
    return hashlib.sha256(listing).hexdigest()[:16]


def changed_files(tree: Tree, before: str, now: str) -> tuple[Path, ...] | None:
    """Paths in the tree that differ between two ``SourceId.tree``.

    None if git does not have the earlier state (any more).
    """
    arguments = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, now)
    try:
        listing = tree.repository.output(*arguments)
    except CommandError:
        return None
    return tuple(tree.path / os.fsdecode(name) for name in listing.split(b"\0") if name)


def kernel_id(source: str, config: str, toolchain: str) -> str:
    """hash(``SourceId.tree``, resolved .config, toolchain), 16 hexadecimal digits."""
    return hashlib.sha256(f"{source}\0{config}\0{toolchain}".encode()).hexdigest()[:16]
