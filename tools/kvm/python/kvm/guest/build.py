# SPDX-License-Identifier: GPL-2.0-only
"""Compiles static programs for guests, each from the sources of one folder, cached by content.

The sources are in ``tools/kvm/guest``. A program is in the cache under a hash of them, the flags
and the compiler, so a bisection step that does not touch them compiles nothing. Called by
``initramfs.py`` and the matrix's workloads.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from kvm import process
from kvm.errors import BuildError, UserError
from kvm.lock import locked
from kvm.project import Project

FLAGS = (
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-static",
    "-s",
    "-Os",
    "-Wall",
    "-Wextra",
    "-Werror",
)


def build_init(project: Project) -> Path:
    """The init of guests and lab hosts."""
    return _build(project, project.root / "tools" / "kvm" / "guest", "init")


def build_exercise(project: Project) -> Path:
    """The program that exercises a guest's devices and processors, and checks them."""
    return _build(project, project.root / "tools" / "kvm" / "guest" / "exercise", "exercise")


def _build(project: Project, folder: Path, name: str) -> Path:
    """The static program from ``folder``'s sources, compiled unless it is in the cache."""
    sources = sorted(folder.glob("*.c"))
    if not sources:
        raise UserError(f"{folder} holds no C sources", "restore it with git checkout")
    compiler = _compiler()
    identity = _identity((*sources, *sorted(folder.glob("*.h"))), compiler)
    target = project.cache / "guest" / identity / name
    if target.is_file():
        return target
    with locked(project.cache / "guest" / "lock", f"compiling the guest's {name}"):
        if not target.is_file():
            _compile(compiler, sources, target)
    return target


def _compiler() -> str:
    """``$CC`` if it is set and is a plain program name or path, else gcc or cc."""
    wanted = os.environ.get("CC", "")
    for name in (wanted, "gcc", "cc"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise UserError(
        "no C compiler was found", "install gcc and libc6-dev, or set CC (./invoke doctor)"
    )


def _identity(files: tuple[Path, ...], compiler: str) -> str:
    digest = hashlib.sha256()
    version = process.capture((compiler, "--version"), timeout_s=30).partition(b"\n")[0]
    for part in (compiler.encode(), version, " ".join(FLAGS).encode()):
        digest.update(part + b"\0")
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _compile(compiler: str, sources: list[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        output = Path(folder) / target.name
        done = process.run((compiler, *FLAGS, *sources, "-o", output), timeout_s=120, check=False)
        if not done.ok:
            raise _failure(target.name, done.output)
        output.replace(target)


def _failure(name: str, output: str) -> BuildError:
    lines = tuple(line for line in output.splitlines() if "error" in line or "ld:" in line)
    static = "cannot find -lc" in output
    return BuildError(
        f"the guest's {name} does not compile",
        lines or tuple(output.splitlines()[-10:]),
        "install the static C library (libc6-dev, glibc-static)" if static else "",
    )
