# SPDX-License-Identifier: GPL-2.0-only
"""The ``payload`` command: run, pass the serial output on, say how it went; or run a suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from kvm.commands import payload_suite as suite_command
from kvm.commands.payload_suite import SuiteOptions
from kvm.errors import UserError, usage
from kvm.output import targets
from kvm.output.progress import Progress, colour_wanted
from kvm.project import Project
from kvm.report.closing import closing, tell_unseen
from kvm.run.options import parse_memory, read_known
from kvm.run.outlet import Outlet
from kvm.run.payload.options import DEFAULT_TIMEOUT_S, UNSET, PayloadOptions
from kvm.run.payload.run import run_payload
from kvm.run.payload.suite.plan import Given, Selection


def main(
    project: Project,
    progress: Progress,
    *,
    file: str,
    suite: bool,
    k: str,
    g: str,
    list: bool,
    expected: str,
    output: Sequence[str] | None,
    cpus: int,
    memory: str,
    append: Sequence[str] | None,
    initrd: str,
    protocol: str,
    cpu: str,
    split_irqchip: bool,
    host: str,
    timeout: float,
    json: str,
    locked: bool,
    known_warnings: str,
) -> int:
    """The command from its words: one payload, or a folder of them."""
    with usage():
        options = PayloadOptions(
            file=Path(file).expanduser().absolute() if suite else Path(file),
            cpus=1 if cpus == UNSET else cpus,
            memory_mib=parse_memory(memory),
            append=" ".join(append or ()),
            environment=Path(initrd) if initrd else None,
            protocol=protocol,
            cpu=cpu,
            split_irqchip=split_irqchip,
            host=host,
            timeout_s=DEFAULT_TIMEOUT_S if timeout == UNSET else timeout,
            pinned_only=locked,
            known_warnings=read_known(known_warnings),
        )
        if suite:
            words: dict[str, object] = {"--append": append, "--initrd": initrd}
            _refuse("with --suite, whose cfg says it for each test", words)
            options.check_machine()
        else:
            words = {"-k": k, "-g": g, "--list": list, "--expected": expected, "--output": output}
            _refuse("without --suite", words)
            options.check()
    if not suite:
        return run_one(project, progress, options, json_target=json)
    given = Given(
        options,
        max_cpus=None if cpus == UNSET else cpus,
        timeout_s=None if timeout == UNSET else timeout,
    )
    asked = SuiteOptions(given, Selection.of(k, g), list, expected, tuple(output or ()), json)
    return suite_command.main(project, progress, asked)


def run_one(
    project: Project, progress: Progress, options: PayloadOptions, *, json_target: str
) -> int:
    """Run and report; the exit code. With ``--json -`` stdout holds the JSON alone."""
    outlet = Outlet(before=progress.pause)
    stream = sys.stderr if json_target == targets.STDOUT else sys.stdout
    show = partial(outlet.write, stream.fileno())
    with targets.opened(json_target) as out:
        record = run_payload(project, options, progress, show, outlet)
        progress.close()
        if json_target:
            out.put(json_target, record.text())
        colour = colour_wanted(sys.stderr, os.environ)
        tell_unseen(options.known_warnings, [record.outcome])
        print(closing(record, colour=colour, base=project.root), end="", file=sys.stderr)
        return out.exit_code(record.exit_code)


def _refuse(why: str, words: Mapping[str, object]) -> None:
    for name, value in words.items():
        if value:
            raise UserError(f"{name} {why}", "leave it out")
