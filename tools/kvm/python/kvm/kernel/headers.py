# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own UAPI headers, against which the VMM is compiled.

They are at one path, and only changed files are rewritten, so a new kernel commit recompiles
only those VMM sources whose headers it touched.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kvm import process
from kvm.kernel.identity import SourceId
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Tree
from kvm.project import Project


def folder(project: Project) -> Path:
    """The folder of the headers, whether or not they are installed yet."""
    return project.build / "uapi" / "include"


def installed(project: Project) -> Path | None:
    """The include folder; None before the first ``install``."""
    return folder(project) if _stamp(project).exists() else None


def install(
    project: Project,
    tree: Tree,
    source: SourceId,
    toolchain: Toolchain,
    say: Callable[[str], None],
) -> Path:
    """Make the installed headers those of ``source``; return the include folder."""
    stamp = _stamp(project)
    target = folder(project)
    if stamp.exists() and stamp.read_text() == source.uapi:
        return target
    say("installing the UAPI headers")
    target.parent.mkdir(parents=True, exist_ok=True)
    # make compares time stamps, and a changed header may look old, so it starts with no files.
    work = project.build / "uapi" / "work"
    shutil.rmtree(work, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="new-") as scratch:
        process.run(
            (
                "make",
                "-s",
                "-C",
                tree.path,
                f"O={work}",
                *toolchain.arguments(),
                f"INSTALL_HDR_PATH={scratch}",
                "headers_install",
            ),
            env=toolchain.sealed(),
        )
        _mirror(Path(scratch) / "include", target)
    stamp.write_text(source.uapi)
    return target


def _stamp(project: Project) -> Path:
    return project.build / "uapi" / "source-id"


def _mirror(new: Path, old: Path) -> None:
    """Make ``old`` equal to ``new``, but leave files with the same content alone."""
    wanted = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    for path in old.rglob("*") if old.exists() else ():
        if path.is_file() and path.relative_to(old) not in wanted:
            path.unlink()
    for relative in wanted:
        target = old / relative
        if target.exists() and filecmp.cmp(new / relative, target, shallow=False):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(new / relative, part)
        os.replace(part, target)
