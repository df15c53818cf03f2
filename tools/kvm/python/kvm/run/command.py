# SPDX-License-Identifier: GPL-2.0-only
"""The ``boot`` and ``build-and-boot`` commands: run, then say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from kvm.project import Project
from kvm.report.closing import closing
from kvm.report.live import Progress, colour_wanted
from kvm.run.boot import Streams, build_and_boot
from kvm.run.machine import command_line
from kvm.run.options import BootOptions, parse_memory
from kvm.verdict.vocabulary import EXIT_GOOD


def main(
    project: Project,
    progress: Progress,
    *,
    memory: str,
    append: list[str] | None,
    configitem: list[str] | None,
    kernel: str,
    initrd: str,
    disk: list[str] | None,
    timeout: float,
    deadline: float,
    json: str,
    verbose: bool,
    dry_run: bool,
    locked: bool,
    **plain: Any,
) -> int:
    """The command from its words: those named here need reading, ``plain`` ones do not."""
    options = BootOptions(
        items=tuple(configitem or ()),
        memory_mib=parse_memory(memory),
        append=" ".join(append or ()),
        kernel=Path(kernel) if kernel else None,
        initrd=Path(initrd) if initrd else None,
        disks=tuple(disk or ()),
        timeout_s=timeout,
        deadline_s=deadline,
        pinned_only=locked,
        **plain,
    ).check()
    if dry_run:
        print(describe(options))
        return EXIT_GOOD
    return boot(project, options, progress, json_target=json, verbose=verbose)


def boot(
    project: Project,
    options: BootOptions,
    progress: Progress,
    *,
    json_target: str = "",
    verbose: bool = False,
) -> int:
    """Boot and report; the exit code. With ``--json -`` stdout holds the JSON alone."""

    record = build_and_boot(
        project, options, progress, _streams(progress, json_target == "-", verbose)
    )
    progress.close()
    if json_target:
        record.write(json_target)
    colour = colour_wanted(sys.stderr, os.environ)
    print(closing(record, colour=colour, base=project.root), end="", file=sys.stderr)
    return record.exit_code


def _streams(progress: Progress, stdout_is_json: bool, verbose: bool) -> Streams:
    """The guest's streams to ours, with the progress line out of the way."""

    def writer(out: BinaryIO) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            progress.pause()
            out.write(data)
            out.flush()

        return write

    stderr = writer(sys.stderr.buffer)
    stdout = stderr if stdout_is_json else writer(sys.stdout.buffer)
    return Streams(stdout, stderr, stderr if verbose else None)


def describe(options: BootOptions) -> str:
    """What ``--dry-run`` prints."""
    image = options.kernel or f"the tree's kernel, {options.config} config"
    lines = [
        f"kernel:       {image}",
        f"command line: {command_line(options)}",
        f"host:         {options.host}",
        f"vcpus:        {options.cpus}",
        f"memory:       {options.memory_mib} MiB",
        f"disks:        {', '.join(options.disks) or 'none'}",
        f"runs:         {' '.join(options.command) or ('a shell' if options.shell else 'true')}",
    ]
    return "\n".join(lines)
