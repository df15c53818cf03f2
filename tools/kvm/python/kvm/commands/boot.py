# SPDX-License-Identifier: GPL-2.0-only
"""The ``boot`` and ``build-and-boot`` commands: run, then report the result."""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial

from kvm.commands.compare import against_revision
from kvm.commands.words import Showing
from kvm.errors import UsageError, UserError, usage
from kvm.output import targets
from kvm.output.progress import Progress, colour_wanted
from kvm.project import Project
from kvm.report.closing import closing, tell_unseen
from kvm.report.timeline import compare_text, page, terminal
from kvm.report.timeline.model import Timeline
from kvm.run import revision
from kvm.run.boot import Streams, build_and_boot
from kvm.run.extras import RunExtras
from kvm.run.machine import command_line
from kvm.run.options import BootOptions
from kvm.run.outlet import Outlet
from kvm.run.record import RunRecord
from kvm.run.snapshots import Snapshot
from kvm.verdict.before import judge_error
from kvm.verdict.vocabulary import EXIT_GOOD


def main(project: Project, progress: Progress, options: BootOptions, showing: Showing) -> int:
    """Boot and report the result; return the exit code."""
    with usage():
        options.check()
        if showing.compare:
            revision.resolve(project, showing.compare)
        if options.from_:
            _require_clone(project, options, showing)
    if showing.dry_run:
        print(describe(options))
        return EXIT_GOOD
    if showing.compare:
        return compare_boots(project, options, progress, showing)
    return boot_and_tell(project, options, progress, showing)[1]


def _require_clone(project: Project, options: BootOptions, showing: Showing) -> None:
    """Raise ``UserError`` if there is no such snapshot, or for what its clone can't be given."""
    Snapshot.load(project, options.from_).options(options)
    for value, word in ((showing.compare, "--compare"), (showing.timeline, "--timeline")):
        if value:
            raise UserError(f"{word} with --from", "a clone does not boot; leave one out")


def boot_and_tell(
    project: Project,
    options: BootOptions,
    progress: Progress,
    showing: Showing,
    extras: RunExtras | None = None,
) -> tuple[RunRecord, int]:
    """Boot and report; return the exit code too. With ``--json -`` stdout has only the JSON."""
    with targets.opened(showing.json, showing.timeline) as out:
        streams = _streams(progress, showing)
        record = _record(project, options, progress, streams, extras)
        progress.close()
        if showing.json:
            out.put(showing.json, record.text())
        colour = colour_wanted(sys.stderr, os.environ)
        if showing.timeline:
            drawn = Timeline.from_record(record.to_json())
            out.put(showing.timeline, _page(record, drawn))
            width = shutil.get_terminal_size().columns
            print(terminal.render(drawn, width=width, colour=colour), end="", file=sys.stderr)
        tell_unseen(options.known_warnings, [record.outcome])
        print(closing(record, colour=colour, base=project.root), end="", file=sys.stderr)
        return record, out.exit_code(record.exit_code)


def _record(
    project: Project,
    options: BootOptions,
    progress: Progress,
    streams: Streams,
    extras: RunExtras | None,
) -> RunRecord:
    """Boot; if there is no verdict, the record says why."""
    try:
        return build_and_boot(project, options, progress, streams, extras)
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
    project: Project, options: BootOptions, progress: Progress, showing: Showing
) -> int:
    """Boot the checkout and a revision; report which initcalls got slower or faster."""
    with targets.opened(showing.json) as out:
        compared = against_revision(project, options, showing.compare, progress)
        progress.close()
        shown = sys.stderr if showing.json == targets.STDOUT else sys.stdout
        text = compare_text.table(compared, before_name=showing.compare, after_name="now")
        print(text, end="", file=shown)
        if showing.json:
            out.put(showing.json, json.dumps(compared.to_json(), indent=2) + "\n")
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


def _streams(progress: Progress, showing: Showing) -> Streams:
    """Connect the guest's streams to ours; the progress line makes room for output."""
    outlet = Outlet(before=progress.pause)
    stderr = partial(outlet.write, sys.stderr.fileno())
    stdout = (
        stderr if showing.json == targets.STDOUT else partial(outlet.write, sys.stdout.fileno())
    )
    return Streams(stdout, stderr, stderr if showing.verbose else None, reader=outlet)


def describe(options: BootOptions) -> str:
    """The text of ``--dry-run``."""
    image = options.kernel or f"the tree's kernel, {options.config} config"
    lines = [
        f"kernel:       {image}",
        *([f"goes on from: {options.from_}"] if options.from_ else []),
        f"command line: {command_line(options)}",
        f"host:         {options.host}",
        f"vcpus:        {options.vcpus}",
        f"memory:       {options.memory_mib} MiB",
        f"disks:        {', '.join(disk.words() for disk in options.disks) or 'none'}",
        f"networks:     {' '.join(net.words() for net in options.nets) or 'none'}",
        f"shares:       {', '.join(share.words() for share in options.shares) or 'none'}",
        f"runs:         {' '.join(options.command) or ('a shell' if options.shell else 'true')}",
    ]
    return "\n".join(lines)
