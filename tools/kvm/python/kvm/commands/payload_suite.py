# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke payload --suite FOLDER``: plans, builds, runs all, reports."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import dataclass
from typing import TextIO

from kvm import command_line
from kvm.errors import usage
from kvm.files import write_or_tell
from kvm.output import targets
from kvm.output.progress import Progress, colour_wanted
from kvm.project import Project
from kvm.report import payload_suite as report
from kvm.report.closing import tell_unseen
from kvm.report.payload_suite import Story
from kvm.run import halves as build_halves
from kvm.run import revision, rundir
from kvm.run.payload.suite import plan as planning
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.here import HereBench
from kvm.run.payload.suite.plan import Given, Plan, Selection, SuiteTest
from kvm.run.payload.suite.run import Result
from kvm.verdict.expected import Expected
from kvm.verdict.vocabulary import EXIT_GOOD


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """The user's options. ``expected`` is a file, or the name of one of the matrix' lists."""

    given: Given
    selection: Selection
    list_only: bool = False
    expected: str = ""
    outputs: tuple[str, ...] = ()
    json: str = ""

    def arguments(self) -> str:
        """The options as ``./invoke payload`` arguments that repeat the suite."""
        said = {
            "-k": ",".join(self.selection.names),
            "-g": ",".join(self.selection.groups),
            "--expected": self.expected,
        }
        more = shlex.join(word for name, value in said.items() if value for word in (name, value))
        return f"{self.given.arguments()} {more}".rstrip()


def main(project: Project, progress: Progress, options: SuiteOptions) -> int:
    """Run and report; return the exit code."""
    with usage():
        outputs = report.parse_outputs(options.outputs)
        report.check_stdout(outputs, options.json)
        plan = planning.load(options.given, options.selection)
        known = running.known_failures(project, plan, options.expected)
    if options.list_only:
        print(report.listing(plan), end="")
        return EXIT_GOOD
    files = (options.json, *(target for _, target in outputs))
    with targets.opened(*files) as out:
        terminal = _Terminal(progress, sys.stderr if targets.STDOUT in files else sys.stdout)
        story = tell(project, progress, plan, options, known, terminal.ends)
        progress.close()
        outcomes = [result.record.outcome for result in story.done.results if result.record]
        tell_unseen(options.given.options.known_warnings, outcomes)
        terminal.say(report.closing(story, colour=terminal.colour))
        report.write(story, outputs, options.json, out.put)
        return out.exit_code(report.exit_code(story))


def tell(
    project: Project,
    progress: Progress,
    plan: Plan,
    asked: SuiteOptions,
    known: Expected | None,
    ends: running.Ends,
) -> Story:
    """Build, run the whole plan in one run folder, and keep its summary there."""
    options = asked.given.options
    halves = build_halves.build(project, progress, pinned_only=options.pinned_only)
    folder = rundir.create(project.runs)
    repeat = f"{project.root}/invoke payload {asked.arguments()}"
    rundir.write_repeat(folder, repeat)
    started = time.time()
    bench = HereBench(project, halves, options.host, folder, progress)
    with progress.phase("payloads") as say:

        def begins(number: int, test: SuiteTest) -> None:
            say(f"{number}/{len(plan.tests)} {test.name}")

        done = running.run(plan, bench, known, begins, ends)
    story = Story(
        project,
        plan,
        halves,
        done,
        command=command_line.typed(),
        commit=revision.present(project),
        host=options.host,
        started=started,
        ended=time.time(),
    )
    write_or_tell(folder / "result.json", report.text(story))
    return story


class _Terminal:
    """One line a test, above the live line of what runs now."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress = progress
        self._stream = stream
        self.colour = colour_wanted(stream, os.environ)

    def ends(self, result: Result) -> None:
        self.say(f"{report.result_line(result, colour=self.colour)}\n")

    def say(self, text: str) -> None:
        self._progress.pause()
        self._stream.write(text)
        self._stream.flush()
