# SPDX-License-Identifier: GPL-2.0-only
"""The way of a developer without this project: make, then virtme-ng (``vng``)."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.errors import InfrastructureError
from kvm.kernel.toolchain import Toolchain
from kvm.project import Project
from kvm.say import Say

NAME = "make + virtme-ng"
INSTALL = ".venv/bin/pip install virtme-ng"
_PROGRAM = "vng"
_BUILD_S = 4 * 3600.0
_BOOT_S = 180.0
_TOLD = 2000
_GOAL = "bzImage"
_DONE = "script exited with code 0"


def found() -> bool:
    """Whether virtme-ng is installed."""
    return shutil.which(_PROGRAM) is not None


@dataclass(frozen=True, slots=True)
class Virtme:
    """Builds a tree with make in a folder of its own, with our config, and boots the image.

    It boots no modules, so what is a module in our config is in its image.
    """

    project: Project
    tree: Path
    out: Path
    emulated: bool

    def prepare(self, config: Path, say: Say) -> None:
        """Build everything once, so that later only an edit is left."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / ".config").write_text(config.read_text().replace("=m\n", "=y\n"))
        self._make("olddefconfig", say)
        self._make(_GOAL, say)

    def build_and_boot(self) -> None:
        """Make what an edit has changed, and boot it until its shell has run ``true``."""
        self._make(_GOAL)
        image = self.out / "arch/x86/boot/bzImage"
        emulated = ("--disable-kvm",) if self.emulated else ()
        words = (_PROGRAM, "--run", str(image), "--force-9p", "--verbose", *emulated)
        done = process.run(
            (*words, "--", "true"), cwd=self.project.root, check=False, timeout_s=_BOOT_S
        )
        # Without udev in the guest, its init can't pass the exit code on, but prints it.
        if not done.ok and _DONE not in done.output:
            raise failed(done)

    def _make(self, goal: str, say: Say | None = None) -> None:
        toolchain = Toolchain.from_environment()
        words = ("make", "-C", self.tree, f"O={self.out}", f"-j{os.cpu_count() or 1}")
        done = process.run(
            (*words, *toolchain.arguments(), goal),
            env=toolchain.environment(self.project.cache / "ccache", self.project.root),
            check=False,
            timeout_s=_BUILD_S,
            on_line=say,
        )
        if not done.ok:
            raise failed(done)


def failed(done: process.Completed) -> InfrastructureError:
    """What to raise after a command of the bench, ours or the peer's, did not do its work."""
    command = " ".join(done.argv)
    return InfrastructureError(
        f"`{command}` exited with {done.returncode}:\n{done.output[-_TOLD:]}"
    )
