# SPDX-License-Identifier: GPL-2.0-only
"""The ``payload`` command: run, pass the serial output on, say how it went."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kvm.project import Project
from kvm.report.closing import closing
from kvm.report.live import Progress, colour_wanted
from kvm.run.options import parse_memory
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import run_payload


def main(
    project: Project,
    progress: Progress,
    *,
    file: str,
    cpus: int,
    memory: str,
    append: list[str] | None,
    initrd: str,
    protocol: str,
    cpu: str,
    split_irqchip: bool,
    host: str,
    timeout: float,
    json: str,
    locked: bool,
) -> int:
    """Run and report; the exit code. With ``--json -`` stdout holds the JSON alone."""
    options = PayloadOptions(
        file=Path(file),
        cpus=cpus,
        memory_mib=parse_memory(memory),
        append=" ".join(append or ()),
        environment=Path(initrd) if initrd else None,
        protocol=protocol,
        cpu=cpu,
        split_irqchip=split_irqchip,
        host=host,
        timeout_s=timeout,
        pinned_only=locked,
    ).check()
    out = sys.stderr.buffer if json == "-" else sys.stdout.buffer

    def show(data: bytes) -> None:
        progress.pause()
        out.write(data)
        out.flush()

    record = run_payload(project, options, progress, show)
    progress.close()
    if json:
        record.write(json)
    colour = colour_wanted(sys.stderr, os.environ)
    print(closing(record, colour=colour, base=project.root), end="", file=sys.stderr)
    return record.exit_code
