# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the payloads of ``tests/payload``, and runs one in the same way as the commands do."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm import process
from kvm.lock import locked
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import run_payload
from kvm.run.record import RunRecord


@dataclass(frozen=True, slots=True)
class PayloadRun:
    """One run: its record and the payload's output."""

    record: RunRecord
    serial: str

    @property
    def verdict(self) -> tuple[str, str]:
        return self.record.outcome.verdict.value, self.record.outcome.reason.value

    def __str__(self) -> str:
        """The text of a failing assertion: the failed checks, and how to repeat them."""
        failed = [line for line in self.serial.splitlines() if not line.startswith("PASS")]
        outcome = self.record.outcome
        lines = [line for item in outcome.evidence for line in item.lines]
        head = f"{self.verdict} {outcome.summary}\nrepeat: {self.record.repeat}"
        return "\n".join([head, *failed[-20:], *lines[-30:]])


def build(project: Project) -> Path:
    """The folder with every payload, compiled again if a source has changed."""
    folder = project.build / "payload"
    with locked(project.build / "payload.lock", "the payloads' build"):
        if not (folder / "build.ninja").exists():
            shutil.rmtree(folder, ignore_errors=True)
            source = project.root / "tests" / "payload"
            process.run((_tool("meson"), "setup", folder, source), timeout_s=300)
        process.run((_tool("ninja"), "-C", folder), timeout_s=600)
    return folder


def run(project: Project, file: Path, **options: Any) -> PayloadRun:
    """Run it; ``options`` are those of ``PayloadOptions``; the default host is a lab host."""
    said = bytearray()
    chosen = {"host": "lab", "timeout_s": 120.0, **options}
    with Progress(live=False) as progress:
        record = run_payload(project, PayloadOptions(file, **chosen).check(), progress, said.extend)
    return PayloadRun(record, said.decode(errors="replace"))


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name
