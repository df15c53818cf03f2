# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the init of guests and lab hosts: one static program, kept by content.

The sources are in ``tools/kvm/guest``. The result lies in the cache under a hash of
them, the flags and the compiler, so a bisect step that does not touch them compiles
nothing. Called by ``initramfs.py``.
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
    """The static init of this checkout's sources, compiled unless the cache has it."""
    folder = project.root / "tools" / "kvm" / "guest"
    sources = sorted(folder.glob("*.c"))
    if not sources:
        raise UserError(f"{folder} holds no C sources", "restore it with git checkout")
    compiler = _compiler()
    identity = _identity((*sources, *sorted(folder.glob("*.h"))), compiler)
    target = project.cache / "guest" / identity / "init"
    if target.is_file():
        return target
    with locked(project.cache / "guest" / "lock", "compiling the guest's init"):
        if not target.is_file():
            _compile(compiler, sources, target)
    return target


def _compiler() -> str:
    """``$CC`` when it is set and a plain program name or path, else gcc or cc."""
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
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".init-") as folder:
        output = Path(folder) / "init"
        done = process.run((compiler, *FLAGS, *sources, "-o", output), timeout_s=120, check=False)
        if not done.ok:
            raise _failure(done.output)
        output.replace(target)


def _failure(output: str) -> BuildError:
    lines = tuple(line for line in output.splitlines() if "error" in line or "ld:" in line)
    static = "cannot find -lc" in output
    return BuildError(
        "the guest's init does not compile",
        lines or tuple(output.splitlines()[-10:]),
        "install the static C library (libc6-dev, glibc-static)" if static else "",
    )
