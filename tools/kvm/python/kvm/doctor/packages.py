# SPDX-License-Identifier: GPL-2.0-only
"""Reads ``ci/packages.txt``: the system packages, and how to find out whether each is there.

The bootstrap script reads the same file in the same way (its header explains the probes), so there
is only one list.
"""

from __future__ import annotations

import importlib.util
import shutil
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_SBIN = ("/usr/sbin", "/sbin")
# A dynamic program names its loader (PT_INTERP) near the start of the file.
_LOADERS = (b"ld-linux", b"ld-musl")
_HEAD_BYTES = 4096


class Family(Enum):
    """Distributions by package manager; the value is the command that installs."""

    DEBIAN = "apt-get install --no-install-recommends"
    FEDORA = "dnf install"
    ARCH = "pacman -S --needed"


@dataclass(frozen=True, slots=True)
class Package:
    """A needed package under its three names, with its probes (any one is enough)."""

    debian: str
    fedora: str
    arch: str
    probes: tuple[str, ...]

    def name(self, family: Family) -> str:
        return {
            Family.DEBIAN: self.debian,
            Family.FEDORA: self.fedora,
            Family.ARCH: self.arch,
        }[family]


def parse(text: str) -> tuple[Package, ...]:
    """The packages in ``packages.txt``."""
    rows = (line.split() for line in text.splitlines() if line.strip() and line[0] != "#")
    return tuple(
        Package(debian, fedora, arch, tuple(probe.split("|")))
        for debian, fedora, arch, probe in rows
    )


def family(os_release: str) -> Family:
    """The package manager for an ``os-release`` text; Debian's if it is unknown."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    words = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").split()
    if {"fedora", "rhel"} & set(words):
        return Family.FEDORA
    return Family.ARCH if "arch" in words else Family.DEBIAN


def install_command(packages: Iterable[Package], where: Family) -> str:
    """The command that installs ``packages``, without duplicates."""
    names = dict.fromkeys(package.name(where) for package in packages)
    return f"sudo {where.value} {' '.join(names)}"


def present(package: Package) -> bool:
    """Whether any of the package's probes succeeds."""
    return any(_probe(probe) for probe in package.probes)


def find_command(name: str) -> Path | None:
    """A command on PATH, or in an sbin folder that users often lack there."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    return next((Path(s) / name for s in _SBIN if (Path(s) / name).is_file()), None)


def is_static(program: Path) -> bool:
    """Whether ``program`` runs without shared libraries, as needed in a guest."""
    with program.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return not any(loader in head for loader in _LOADERS)


def _probe(probe: str) -> bool:
    kind, _, what = probe.partition(":")
    if kind == "python":
        return _python_has(what)
    if kind == "static":
        command = find_command(what)
        return command is not None and is_static(command)
    if probe.startswith("/"):
        return any(Path("/").glob(probe[1:]))
    return find_command(probe) is not None


def _python_has(what: str) -> bool:
    if what == "headers":
        return (Path(sysconfig.get_path("include")) / "Python.h").is_file()
    if what == "venv":
        return importlib.util.find_spec("ensurepip") is not None
    return True
