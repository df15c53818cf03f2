# SPDX-License-Identifier: GPL-2.0-only
"""A small stand-in source tree, enough for the tree handling, which compiles nothing."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from kvm.project import Project

FILES = {
    "Kbuild": "# top\n",
    "Makefile": "VERSION = 6\n",
    "init/main.c": "".join(f"line {n}\n" for n in range(1, 41)),
    "include/uapi/linux/kvm.h": "#define KVM_API_VERSION 12\n",
    ".gitignore": "*.o\n",
}


def git(folder: Path, *args: str) -> str:
    argv = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org", *args)
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Checkout:
    """A project whose pin names a local tarball."""

    project: Project

    @property
    def tree(self) -> Path:
        return self.project.linux / "tree"

    @property
    def patches(self) -> Path:
        return self.project.linux / "patches"

    def repin(self, version: str, files: dict[str, str]) -> None:
        tarball = self.project.root / f"linux-{version}.tar.gz"
        source = self.project.root / f"source-{version}" / f"linux-{version}"
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with tarfile.open(tarball, "w:gz") as archive:
            archive.add(source, f"linux-{version}")
        digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
        (self.project.linux / "pin.toml").write_text(
            f'version = "{version}"\n[[source]]\nkind = "tarball"\n'
            f'url = "{tarball.as_uri()}"\nsha256 = "{digest}"\n'
        )
