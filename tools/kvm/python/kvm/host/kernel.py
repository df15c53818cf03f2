# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of a lab host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HostKernel:
    """A kernel by its image, its id and its modules, each after those that it needs.

    ``image`` names the content of ``vmlinux``: a lab host is saved before its modules are
    inserted, and serves all kernels that differ in them alone.
    """

    vmlinux: Path
    id: str
    image: str
    modules: tuple[Path, ...] = ()
