# SPDX-License-Identifier: GPL-2.0-only
"""Reads ``linux/pin.toml``: the upstream kernel this is built on, and where to get it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from kvm.errors import UserError


class SourceKind(Enum):
    """How a source is fetched."""

    DEBIAN = "debian"
    TARBALL = "tarball"
    GIT = "git"


@dataclass(frozen=True, slots=True)
class Source:
    """A place from which the pinned kernel can be fetched.

    ``sha256`` is that of the tarball. A tarball source may name a ``sums`` file (sha256sum
    format) instead; a git source names ``ref`` and may pin it to ``commit``.
    """

    kind: SourceKind
    url: str = ""
    package: str = ""
    package_version: str = ""
    member: str = ""
    sha256: str = ""
    sums: str = ""
    ref: str = ""
    commit: str = ""

    def describe(self) -> str:
        if self.kind is SourceKind.DEBIAN:
            return f"Debian package {self.package}={self.package_version}"
        return f"{self.kind.value} {self.url}" + (f" {self.ref}" if self.ref else "")


@dataclass(frozen=True, slots=True)
class Pin:
    """The upstream version, and its sources in the order in which they are tried."""

    version: str
    sources: tuple[Source, ...]

    @property
    def series(self) -> str:
        """The stable series, such as ``6.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def id(self) -> str:
        """An id that changes whenever anything in the pin does."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


_REQUIRED = {
    SourceKind.DEBIAN: ("package", "package_version", "member", "sha256"),
    SourceKind.TARBALL: ("url",),
    SourceKind.GIT: ("url", "ref"),
}


def load(path: Path) -> Pin:
    """Parse and check the pin file; errors name the file and the key and have a hint."""
    try:
        raw = tomllib.loads(path.read_text())
    except FileNotFoundError as missing:
        raise UserError(f"{path} is missing", "restore it with git checkout") from missing
    except tomllib.TOMLDecodeError as broken:
        raise UserError(f"{path}: {broken}", "correct the TOML syntax") from broken
    version = raw.get("version")
    if not isinstance(version, str) or not re.fullmatch(r"\d+\.\d+(\.\d+)?(-rc\d+)?", version):
        raise UserError(f"{path}: version = {version!r}", 'write it like version = "6.12.117"')
    tables = raw.get("source", [])
    if not isinstance(tables, list) or not tables:
        raise UserError(
            f"{path}: no [[source]]", "name at least one place to fetch the kernel from"
        )
    return Pin(version, tuple(_source(path, n, t) for n, t in enumerate(tables, 1)))


def _source(path: Path, number: int, table: dict[str, Any]) -> Source:
    where = f"{path}: source {number}"
    known = {kind.value: kind for kind in SourceKind}
    kind = known.get(str(table.get("kind")))
    if kind is None:
        raise UserError(f"{where}: kind = {table.get('kind')!r}", f"use one of {', '.join(known)}")
    fields = {key: value for key, value in table.items() if key != "kind"}
    unknown = set(fields) - set(Source.__dataclass_fields__)
    if unknown:
        raise UserError(f"{where}: unknown key {sorted(unknown)[0]!r}", "remove it or fix its name")
    for key in _REQUIRED[kind]:
        if not isinstance(fields.get(key), str) or not fields[key]:
            raise UserError(f"{where}: {key} is missing", f"a {kind.value} source needs {key}")
    if kind is SourceKind.TARBALL and not (fields.get("sha256") or fields.get("sums")):
        raise UserError(f"{where}: neither sha256 nor sums", "a tarball must be verifiable")
    return Source(kind=kind, **fields)
