# SPDX-License-Identifier: GPL-2.0-only
"""A suite's results as text and files: one line a test, the closing line, KTAP, JUnit, JSON.

The reports are the matrix', with a test in the place of a cell. All is pure except ``write`` and
the consoles that ``view`` reads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.output import targets
from kvm.output.words import clean, duration, one_line, plural
from kvm.project import Project
from kvm.report.closing import coloured
from kvm.report.matrix import console, ktap
from kvm.report.matrix.junit import junit
from kvm.report.matrix.summary_json import summary
from kvm.report.matrix.view import View
from kvm.results.model import Attempt, CellResult, MatrixRun
from kvm.run.halves import Halves
from kvm.run.payload.suite.plan import Plan
from kvm.run.payload.suite.run import Done, Result
from kvm.verdict.ktap import Case, Status
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_CANNOT_TELL, EXIT_GOOD, Reason, Verdict

FORMATS = {"xml": "junit", "junit": "junit", "ktap": "ktap", "tap": "ktap", "json": "json"}
_WORDS = {
    Status.PASS: "passed",
    Status.FAIL: "failed",
    Status.TIMEOUT: "timed out",
    Status.ERROR: "without a verdict",
    Status.XFAIL: "failed as expected",
    Status.XPASS: "passed unexpectedly",
    Status.SKIP: "skipped",
}
_PLAIN_REASONS = {Verdict.PASS: Reason.OK, Verdict.SKIP: Reason.NONE}
_ALWAYS = (Status.PASS, Status.FAIL, Status.SKIP)


@dataclass(frozen=True, slots=True)
class Story:
    """All that a report needs: the plan, what it ran with, and the results."""

    project: Project
    plan: Plan
    halves: Halves
    done: Done
    command: str
    commit: str
    host: str
    started: float
    ended: float

    @property
    def cases(self) -> list[Case]:
        return [*(result.case for result in self.done.results), *self.done.stale]

    @property
    def missing(self) -> list[str]:
        ran = {result.test.name for result in self.done.results}
        return [test.name for test in self.plan.tests if test.name not in ran]


def exit_code(story: Story) -> int:
    """0 if all is as expected, 1 if something failed, 125 if some or all results are unknown."""
    verdicts = {case.status.verdict for case in story.cases}
    if Verdict.FAIL in verdicts:
        return EXIT_BAD
    if Verdict.PASS not in verdicts or Verdict.ERROR in verdicts or story.missing:
        return EXIT_CANNOT_TELL
    return EXIT_GOOD


def line(case: Case, seconds: float | None, *, colour: bool) -> str:
    """``PASS apic (1.2 s)``, ``SKIP pmu (why)``, ``FAIL msr (0.9 s): why``, ``XFAIL ...``."""
    plain = case.status not in (Status.XFAIL, Status.XPASS)
    shown = case.status.verdict.value if plain else case.status.name
    word = coloured(shown, case.status.verdict, colour=colour)
    name, why = one_line(case.name), one_line(case.note)
    if seconds is None:
        return f"{word} {name} ({why})"
    head = f"{word} {name} ({duration(seconds)})"
    return f"{head}: {why}" if why else head


def result_line(result: Result, *, colour: bool) -> str:
    return line(result.case, result.seconds if result.record else None, colour=colour)


def closing(story: Story, *, colour: bool) -> str:
    """The stale entries, the number of tests left out, and the counts."""
    lines = [line(case, None, colour=colour) for case in story.done.stale]
    if left_out := story.plan.left_out:
        lines.append(f"left out, as they are for other processors: {', '.join(left_out)}")
    counts = Counter(case.status for case in story.cases)
    words = [f"{counts[s]} {word}" for s, word in _WORDS.items() if counts[s] or s in _ALWAYS]
    words += [f"{len(story.missing)} not run"] if story.missing else []
    seconds = duration(story.ended - story.started)
    verdict = {EXIT_GOOD: Verdict.PASS, EXIT_BAD: Verdict.FAIL}.get(exit_code(story), Verdict.ERROR)
    head = coloured(verdict.value, verdict, colour=colour)
    total = plural(len(story.plan.tests), "test")
    lines.append(f"{head} {story.plan.name}: {', '.join(words)} of {total} in {seconds}")
    return "\n".join(lines) + "\n"


def listing(plan: Plan) -> str:
    """One test a line, with its machine, or why it is skipped."""
    width = max((len(test.name) for test in plan.tests), default=0)
    lines = []
    for test in plan.tests:
        options = test.options
        machine = f"{options.vcpus} vCPU {options.memory_mib}M {options.timeout_s:g}s"
        groups = f" [{' '.join(test.groups)}]" if test.groups else ""
        told = f"SKIP ({test.skip})" if test.skip else f"{options.file.name} {options.append}"
        lines.append(f"{test.name:{width}}  {machine}{groups}  {told}".rstrip())
    if plan.left_out:
        lines.append(f"left out, as they are for other processors: {', '.join(plan.left_out)}")
    return clean("\n".join([*lines, plural(len(plan.tests), "test")])) + "\n"


def parse_outputs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Parse ``--output`` into pairs of format and target."""
    parsed = [targets.parse(word, FORMATS) for word in words]
    targets.refuse_twice([target for _, target in parsed])
    return parsed


def check_stdout(outputs: Sequence[tuple[str, str]], json_target: str) -> None:
    """Refuse two reports on one stdout, which could not be separated."""
    used = [target for _, target in outputs if target == targets.STDOUT]
    if used and json_target == targets.STDOUT:
        raise UserError("--json - and --output …:- both want stdout", "name a file for one")


def write(
    story: Story,
    outputs: Sequence[tuple[str, str]],
    json_target: str,
    put: Callable[[str, str], None],
) -> None:
    """Write every requested report, even if the run was interrupted."""
    texts = {
        "junit": lambda: junit(view(story)),
        "ktap": lambda: ktap.report(map(_with_why, story.cases), story.missing),
        "json": lambda: text(story),
    }
    for form, target in [*outputs, *([("json", json_target)] if json_target else [])]:
        put(target, texts[form]())


def text(story: Story) -> str:
    """The results as JSON text."""
    return json.dumps(to_json(story), indent=2) + "\n"


def to_json(story: Story) -> dict[str, Any]:
    """The matrix' summary, with the fields that only a suite has."""
    shown = view(story)
    return {
        **summary(shown.run, shown.cells),
        "suite": str(story.plan.cfg),
        "host": story.host,
        "left_out": list(story.plan.left_out),
        "expected_failures": sum(case.status is Status.XFAIL for case in story.cases),
        "exit_code": exit_code(story),
    }


def view(story: Story) -> View:
    """The run as a ``View`` for the matrix' reports."""
    cells = {result.test.name: _cell(result, story) for result in story.done.results}
    cells |= {case.name: _stale(case, story) for case in story.done.stale}
    return View(
        run=MatrixRun(
            number=0,
            started=story.started,
            planned=tuple(test.name for test in story.plan.tests),
            ended=story.ended,
            interrupted=story.done.interrupted,
            command=story.command,
            commit=story.commit,
            vmm_id=story.halves.vmm.id,
            kernels={"": story.halves.kernel.id},
        ),
        cells=cells,
        consoles={r.test.name: _console(r, story.project) for r in story.done.results if r.record},
        name="payloads",
    )


def _with_why(case: Case) -> Case:
    """KTAP allows text only after a directive, so that of a failure becomes comments."""
    if case.status is not Status.FAIL or not case.note:
        return case
    return Case(case.name, case.status, case.note, (*case.comments, case.note), case.children)


def _cell(result: Result, story: Story) -> CellResult:
    case, record = result.case, result.record
    verdict = case.status.verdict
    axes = {
        "workload": story.plan.name,
        "host": record.host if record else story.host,
        "vcpus": str(result.test.options.vcpus),
        "memory": str(result.test.options.memory_mib),
    }
    failed = record.outcome if record and verdict in (Verdict.FAIL, Verdict.ERROR) else None
    plain = _PLAIN_REASONS.get(verdict, Reason.INFRASTRUCTURE)
    return CellResult(
        case.name,
        axes,
        verdict,
        failed.reason if failed else plain,
        case.note,
        signature=failed.signature if failed else "",
        checks=case.children,
        evidence=failed.evidence if failed else (),
        **_ran(result, story),
    )


def _ran(result: Result, story: Story) -> dict[str, Any]:
    """The parts of a result that come from the run itself."""
    record, options = result.record, result.test.options
    common = {"started": result.started, "repeat": f"./invoke payload {options.repeat}"}
    if record is None:
        return common
    folder = str(_relative(record.run_dir, story.project))
    outcome = record.outcome
    attempt = Attempt(
        outcome.verdict, outcome.reason, outcome.summary, outcome.signature, result.seconds, folder
    )
    return {
        **common,
        "attempts": (attempt,),
        "timings_s": {"total": result.seconds},
        "exits": record.exits.to_json(),
        "run_dir": folder,
        "kernel": record.kernel.release,
        "kernel_id": record.kernel.id,
        "vmm_id": record.vmm_id,
        "seconds": result.seconds,
    }


def _stale(case: Case, story: Story) -> CellResult:
    axes = {"workload": story.plan.name}
    return CellResult(case.name, axes, case.status.verdict, Reason.NONE, case.note)


def _console(result: Result, project: Project) -> console.Console:
    assert result.record is not None
    folder = result.record.run_dir
    if folder is None:
        return console.Console()
    telling = (line for item in result.record.outcome.evidence for line in item.lines)
    path = folder / "console.log"
    return console.read(path, str(_relative(path, project)), telling)


def _relative(path: Path | None, project: Project) -> Path | str:
    if path is None:
        return ""
    return path.relative_to(project.root) if path.is_relative_to(project.root) else path
