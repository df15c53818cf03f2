# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that last served as lab host and ran a guest to a PASS, and its start-up time.

One image is both lab host and guest. When a new one does not come up as lab host, a proven
one stands in, so that the new one can be examined as a guest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kvm.files import write_whole
from kvm.kernel import build
from kvm.kernel.build import Kernel
from kvm.project import Project


@dataclass(frozen=True, slots=True)
class Proven:
    """A good kernel, and the seconds its lab host took to boot."""

    kernel: Kernel
    boot_s: float


def load(project: Project) -> Proven | None:
    """The proven kernel, if its image is still in the cache."""
    try:
        found = json.loads(_file(project).read_text())
        kernel = build.stored(Path(found["folder"]), str(found["config"]))
        proven = Proven(kernel, float(found["boot_s"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return proven if kernel.vmlinux.is_file() else None


def record(project: Project, kernel: Kernel, boot_s: float) -> None:
    """Remember it; ``boot_s`` of 0 means that it did not boot now."""
    before = load(project)
    if boot_s == 0 and before is not None:
        boot_s = before.boot_s
    if before is not None and (before.kernel.id, before.boot_s) == (kernel.id, boot_s):
        return
    file = _file(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    found = {"folder": str(kernel.folder), "config": kernel.config_name, "boot_s": boot_s}
    write_whole(file, json.dumps(found))


def _file(project: Project) -> Path:
    return project.build / "lab" / "proven.json"
