# SPDX-License-Identifier: GPL-2.0-only
"""The places of a checkout: its root, its build folder, and the cache outside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kvm.errors import UserError


@dataclass(frozen=True)
class Project:
    """One checkout of this repository and the folders derived from it."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The checkout that contains ``start`` (default: the one this package was loaded from)."""
        here = (start or Path(__file__)).resolve()
        for folder in (here, *here.parents):
            if (folder / "linux").is_dir() and (folder / "tools" / "kvm").is_dir():
                return cls(folder)
        raise UserError(f"{here} is not inside a checkout", "run ./invoke from the repository")

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def runs(self) -> Path:
        return self.build / "runs"

    @property
    def results(self) -> Path:
        """The database of matrix runs."""
        return self.build / "results.sqlite3"

    @property
    def linux(self) -> Path:
        return self.root / "linux"

    @property
    def vmm_build(self) -> Path:
        """The meson build folder that the editable install and the harness share."""
        return self.build / "vmm"

    @cached_property
    def cache(self) -> Path:
        """Artifacts by id, shared by all checkouts of this user (``$XDG_CACHE_HOME/tools-kvm``)."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(base) / "tools-kvm"
