# SPDX-License-Identifier: GPL-2.0-only
"""The ``boot`` and ``build-and-boot`` commands: run, then say how it went."""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from kvm.commands.compare import against_revision
from kvm.errors import UsageError, UserError, usage
from kvm.output import targets
from kvm.output.progress import Progress, colour_wanted
from kvm.project import Project
from kvm.report.closing import closing, tell_unseen
from kvm.report.timeline import compare_text, page, terminal
from kvm.report.timeline.model import Timeline
from kvm.run import revision
from kvm.run.boot import Streams, build_and_boot
from kvm.run.machine import check, command_line
from kvm.run.options import BootOptions, parse_memory, parse_ttys, read_known
from kvm.run.outlet import Outlet
from kvm.run.record import RunRecord
from kvm.verdict.before import judge_error
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
    net: list[str] | None,
    share: list[str] | None,
    vfio_pci: list[str] | None,
    lab_device: list[str] | None,
    tty: list[str] | None,
    timeout: float,
    deadline: float,
    json: str,
    verbose: bool,
    dry_run: bool,
    locked: bool,
    known_warnings: str,
    timeline: str,
    compare: str,
    **plain: Any,
) -> int:
    """The command from its words: those named here need reading, ``plain`` ones do not."""
    with usage():
        options = BootOptions(
            items=tuple(configitem or ()),
            memory_mib=parse_memory(memory),
            append=" ".join(append or ()),
            kernel=Path(kernel) if kernel else None,
            initrd=Path(initrd) if initrd else None,
            disks=tuple(disk or ()),
            nets=tuple(net or ()),
            shares=tuple(share or ()),
            vfio_pci=tuple(vfio_pci or ()),
            lab_devices=tuple(lab_device or ()),
            ttys=parse_ttys(tty or ()),
            timeout_s=timeout,
            deadline_s=deadline,
            pinned_only=locked,
            known_warnings=read_known(known_warnings),
            **plain,
        ).check()
        check(options)
        if compare:
            revision.resolve(project, compare)
    if dry_run:
        print(describe(options))
        return EXIT_GOOD
    if compare:
        return compare_boots(project, options, compare, progress, json_target=json)
    return boot(
        project, options, progress, json_target=json, verbose=verbose, timeline_target=timeline
    )


def boot(
    project: Project,
    options: BootOptions,
    progress: Progress,
    *,
    json_target: str = "",
    verbose: bool = False,
    timeline_target: str = "",
) -> int:
    """Boot and report; the exit code. With ``--json -`` stdout holds the JSON alone."""
    with targets.opened(json_target, timeline_target) as out:
        streams = _streams(progress, json_target == targets.STDOUT, verbose)
        record = _record(project, options, progress, streams)
        progress.close()
        if json_target:
            out.put(json_target, record.text())
        colour = colour_wanted(sys.stderr, os.environ)
        if timeline_target:
            drawn = Timeline.from_record(record.to_json())
            out.put(timeline_target, _page(record, drawn))
            width = shutil.get_terminal_size().columns
            print(terminal.render(drawn, width=width, colour=colour), end="", file=sys.stderr)
        tell_unseen(options.known_warnings, [record.outcome])
        print(closing(record, colour=colour, base=project.root), end="", file=sys.stderr)
        return out.exit_code(record.exit_code)


def _record(
    project: Project, options: BootOptions, progress: Progress, streams: Streams
) -> RunRecord:
    """Whoever reads it is told why there is no verdict, too."""
    try:
        return build_and_boot(project, options, progress, streams)
    except UsageError:
        raise
    except UserError as trouble:
        outcome = judge_error(trouble)
        return RunRecord(
            outcome=outcome,
            host=options.host,
            exit_code=outcome.exit_code,
            command=options.command,
        )


def compare_boots(
    project: Project,
    options: BootOptions,
    revision: str,
    progress: Progress,
    *,
    json_target: str = "",
) -> int:
    """Boot as it is and as ``revision`` was; which initcalls got slower or faster."""
    with targets.opened(json_target) as out:
        compared = against_revision(project, options, revision, progress)
        progress.close()
        shown = sys.stderr if json_target == targets.STDOUT else sys.stdout
        text = compare_text.table(compared, before_name=revision, after_name="now")
        print(text, end="", file=shown)
        if json_target:
            out.put(json_target, json.dumps(compared.to_json(), indent=2) + "\n")
        return out.exit_code(EXIT_GOOD)


def _page(record: RunRecord, drawn: Timeline) -> str:
    facts = {
        "kernel": record.kernel.release,
        "host": record.host,
        "vCPUs": str(record.guest.cpus),
        "memory": f"{record.guest.memory_mib} MiB",
        "verdict": f"{record.outcome.verdict.value} {record.outcome.summary}",
    }
    return page.render(drawn, title="Boot timeline", facts=facts)


def _streams(progress: Progress, stdout_is_json: bool, verbose: bool) -> Streams:
    """The guest's streams to ours, with the progress line out of the way."""
    outlet = Outlet(before=progress.pause)
    stderr = partial(outlet.write, sys.stderr.fileno())
    stdout = stderr if stdout_is_json else partial(outlet.write, sys.stdout.fileno())
    return Streams(stdout, stderr, stderr if verbose else None, reader=outlet)


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
        f"networks:     {' '.join(options.nets) or 'none'}",
        f"shares:       {', '.join(options.shares) or 'none'}",
        f"runs:         {' '.join(options.command) or ('a shell' if options.shell else 'true')}",
    ]
    return "\n".join(lines)
