# SPDX-License-Identifier: GPL-2.0-only
"""The ``payload`` command: runs one, passes its serial output on, and reports; or runs a suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from kvm.commands import payload_suite as suite_command
from kvm.commands.payload_suite import SuiteOptions
from kvm.commands.words import SuiteWords
from kvm.errors import UserError, usage
from kvm.output import targets
from kvm.output.progress import Progress, colour_wanted
from kvm.project import Project
from kvm.report.closing import closing, tell_unseen
from kvm.run.outlet import Outlet
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import run_payload
from kvm.run.payload.suite.plan import Given, Selection


def main(project: Project, progress: Progress, options: PayloadOptions, words: SuiteWords) -> int:
    """Run one payload, or a folder of them; return the exit code."""
    if not words.suite:
        with usage():
            alone = {
                "-k": words.names,
                "-g": words.groups,
                "--list": words.list_only,
                "--expected": words.expected,
                "--output": words.outputs,
            }
            _refuse("without --suite", alone)
            options.check()
        return run_one(project, progress, options, json_target=words.json)
    with usage():
        beside = {"--append": options.append, "--initrd": options.environment}
        _refuse("with --suite, whose cfg says it for each test", beside)
        options.check_machine()
    folder = options.file.expanduser().absolute()
    given = Given(replace(options, file=folder), max_cpus=words.max_cpus, timeout_s=words.timeout_s)
    asked = SuiteOptions(
        given,
        Selection.of(words.names, words.groups),
        words.list_only,
        words.expected,
        words.outputs,
        words.json,
    )
    return suite_command.main(project, progress, asked)


def run_one(
    project: Project, progress: Progress, options: PayloadOptions, *, json_target: str
) -> int:
    """Run and report; return the exit code. With ``--json -`` stdout has only the JSON."""
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
