# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke test --planted``: does the matrix find bugs?

``tests/matrix/planted`` has typical mistakes, as patches, and the cells that must fail for each,
with the reason. Each is applied alone in a copy of the checkout, and those cells are run. Before
that they are run without any mistake, and must pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from kvm import process
from kvm.commands.matrix import MatrixOptions
from kvm.errors import UserError, usage
from kvm.files import write_whole
from kvm.host import labs
from kvm.lock import locked
from kvm.matrix import faults, plan, planted_copy, select, workloads
from kvm.matrix.cell import AXES, Cell
from kvm.matrix.faults import Fault
from kvm.matrix.planted_copy import Copy, PatchFailed
from kvm.output import targets
from kvm.output.progress import Progress
from kvm.output.targets import Outputs
from kvm.output.words import clean
from kvm.project import Project
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_GOOD, Reason, Verdict

SCHEMA = 1
_DEADLINE_S = 3600.0  # of one run of cells, which may have to build a whole kernel first
_INTERRUPT_GRACE_S = 30.0
_TAIL_LINES = 20
_SUMMARY_WIDTH = 70


class Finding(Enum):
    """The result for a fault. ``BROKEN``: the fault could not be tried."""

    CAUGHT = "caught"
    MISSED = "missed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one fault; ``seen`` has a line for each cell, or for what went wrong."""

    fault: Fault
    finding: Finding
    seen: tuple[str, ...]
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.name,
            "half": self.fault.half,
            "what": self.fault.what,
            "finding": self.finding.value,
            "expected": {cell: [r.value for r in rs] for cell, rs in self.fault.expect.items()},
            "seen": list(self.seen),
            "seconds": round(self.seconds, 1),
        }


def run(project: Project, progress: Progress, options: MatrixOptions) -> int:
    """Try each fault (``-k``: those with the word in their name); return 0 if all were caught."""
    names = (*workloads.known(), select.USER_WORKLOAD)
    cells = {cell.id: cell for cell in plan.load(_plan(project), names).cells("full")}
    known = faults.load(project.root / "tests" / "matrix" / "planted" / "faults.toml", cells)
    with usage():
        wanted = faults.chosen(known, options.selection.expression)
    if options.list_only or options.dry_run:
        print(listing(wanted))
        return EXIT_GOOD
    lock = project.build / "planted" / "lock"
    start = time.monotonic()
    with (
        locked(lock, "a run of the planted faults", wait_s=1.0, say=lambda text: None),
        targets.opened(options.json) as out,
    ):
        with progress.phase("copy") as say:
            copy = planted_copy.make(project, say)
        bench = _Bench(copy, progress, cells, options.workers)
        try:
            bench.baseline(wanted)
            trials = [bench.attempt(fault) for fault in wanted]
        finally:
            copy.undo()
            labs.stop(copy.project)
        progress.close()
        _report(trials, time.monotonic() - start, options.json, out)
        good = all(t.finding is Finding.CAUGHT for t in trials)
        return out.exit_code(EXIT_GOOD if good else EXIT_BAD)


def judge(fault: Fault, results: Mapping[str, CellResult]) -> tuple[Finding, tuple[str, ...]]:
    """Compare the results of the fault's cells with the expected ones. Pure."""
    missing = [cell for cell in fault.cells if cell not in results]
    if missing:
        return Finding.BROKEN, tuple(f"{cell}: no result" for cell in missing)
    unbuilt = [r for r in results.values() if r.reason is Reason.BUILD_FAILURE]
    if unbuilt:
        return Finding.BROKEN, (f"it does not build: {unbuilt[0].summary}",)
    seen, missed = [], False
    for cell in fault.cells:
        result = results[cell]
        fit = _fits(result, fault.expect.get(cell))
        missed = missed or not fit
        seen.append(f"{cell}: {_words(result)}{'' if fit else f' ({_wish(fault, cell)})'}")
    return (Finding.MISSED if missed else Finding.CAUGHT), tuple(seen)


def _fits(result: CellResult, reasons: tuple[Reason, ...] | None) -> bool:
    """A cell that is not expected to fail must pass: a fault must be found only where it is.

    An ERROR counts as a failure too; that it blames nobody is the verdict's concern.
    """
    if reasons is None:
        return result.verdict is Verdict.PASS
    return result.verdict in (Verdict.FAIL, Verdict.ERROR) and result.reason in reasons


def _words(result: CellResult) -> str:
    if result.verdict is Verdict.PASS:
        return "PASS"
    return f"{result.verdict.value} {result.reason.value}: {result.summary}"


def _wish(fault: Fault, cell: str) -> str:
    reasons = fault.expect.get(cell)
    return "red with " + " or ".join(r.value for r in reasons) if reasons else "it should pass"


def listing(wanted: Iterable[Fault]) -> str:
    """Each fault on a line with its description, followed by its cells."""
    lines = []
    for fault in wanted:
        lines.append(f"{fault.name}: {fault.what}")
        for cell in fault.cells:
            lines.append(f"  {cell}: {_wish(fault, cell)}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Runs cells in the copy, one fault after another."""

    copy: Copy
    progress: Progress
    cells: Mapping[str, Cell]
    workers: int

    def baseline(self, wanted: Sequence[Fault]) -> None:
        """Run all cells without a fault. Raises ``UserError`` if one is not good."""
        names = tuple(dict.fromkeys(cell for fault in wanted for cell in fault.cells))
        # A killed run may have left a faulty kernel here as the proven one.
        self._proven.unlink(missing_ok=True)
        results, words = self._run("baseline", names, reruns=1)
        lacking = [name for name in names if name not in results]
        if lacking:
            raise UserError(f"without a fault, {lacking[0]} has no result\n{words}", _mend(names))
        red = [r for r in results.values() if r.verdict in (Verdict.FAIL, Verdict.ERROR)]
        if red:
            raise UserError(f"without a fault, {red[0].cell} is {_words(red[0])}", _mend(names))
        with contextlib.suppress(OSError):
            write_whole(self._kept_proven, self._proven.read_text())
        self.progress.note(f"without a fault, all {len(names)} cells are good")

    def attempt(self, fault: Fault) -> Trial:
        """Apply it, run its cells, undo it."""
        start = time.monotonic()
        try:
            self.copy.apply(fault.half, fault.patch)
        except PatchFailed as failed:
            finding = Finding.BROKEN
            seen: tuple[str, ...] = (f"{fault.patch.name} does not apply", str(failed))
        else:
            self._restore_proven()
            results, words = self._run(fault.name, fault.cells, reruns=0)
            finding, seen = judge(fault, results)
            if not results:
                seen = (*seen, *words.splitlines())
        finally:
            self.copy.undo()
        trial = Trial(fault, finding, seen, time.monotonic() - start)
        self.progress.note(f"{finding.value:7} {fault.name} ({trial.seconds:.0f} s)")
        return trial

    def _run(
        self, name: str, names: Sequence[str], *, reruns: int
    ) -> tuple[dict[str, CellResult], str]:
        """The cells' results, and the end of the command's output."""
        folder = self.copy.project.build / "planted"
        folder.mkdir(parents=True, exist_ok=True)
        answer, log = folder / f"{name}.json", folder / f"{name}.log"
        answer.unlink(missing_ok=True)
        with self.progress.phase(name) as say, log.open("w") as output:
            say(f"{len(names)} cells")
            self._child(self._argv(names, answer, reruns), output.fileno())
        words = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return read_results(answer), "\n".join([*words, f"({log} has all of it)"])

    def _child(self, argv: Sequence[str], output: int) -> None:
        with process.spawn(
            argv,
            cwd=self.copy.project.root,
            env=self.copy.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as child:
            try:
                child.wait(_DEADLINE_S)
            except (KeyboardInterrupt, subprocess.TimeoutExpired) as ended:
                # The matrix ends in its own way, which leaves no lab host behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_INTERRUPT_GRACE_S)
                if isinstance(ended, KeyboardInterrupt):
                    raise

    def _argv(self, names: Sequence[str], answer: Path, reruns: int) -> tuple[str, ...]:
        """Select by axis too, so that nothing is built or planned that no cell needs."""
        used = [self.cells[name].axes for name in names]
        narrowed = []
        for axis in AXES:
            narrowed += ["--axis", f"{axis}={','.join(dict.fromkeys(a[axis] for a in used))}"]
        return (
            *(sys.executable, "-m", "invoke", "test", "--matrix", "--subset", "full"),
            *narrowed,
            *("-k", " or ".join(f"test_cell[{name}]" for name in names)),
            *("--json", str(answer), "--reruns", str(reruns)),
            *(("-n", str(self.workers)) if self.workers else ()),
        )

    @property
    def _proven(self) -> Path:
        return self.copy.project.build / "lab" / "proven.json"

    @property
    def _kept_proven(self) -> Path:
        return self.copy.project.build / "planted" / "proven.json"

    def _restore_proven(self) -> None:
        """Restore it: a faulty kernel that passed some cell must not stand in for the next one."""
        with contextlib.suppress(OSError):
            write_whole(self._proven, self._kept_proven.read_text())


def read_results(path: Path) -> dict[str, CellResult]:
    """The results in the file of ``--json``; none if the run did not get that far."""
    try:
        record = json.loads(path.read_text())
        return {item["cell"]: CellResult.from_json(item) for item in record["results"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _report(trials: Sequence[Trial], seconds: float, target: str, out: Outputs) -> None:
    print(clean(table(trials)))
    print(f"{caught(trials)} in {seconds:.0f} s")
    if not target:
        return
    record = {
        "schema": SCHEMA,
        "caught": sum(t.finding is Finding.CAUGHT for t in trials),
        "planted": len(trials),
        "seconds": round(seconds, 1),
        "faults": [trial.to_json() for trial in trials],
    }
    out.put(target, json.dumps(record, indent=2) + "\n")


def table(trials: Sequence[Trial]) -> str:
    """One fault a line: what was expected, what was seen, and the finding. Pure."""
    width = max((len(t.fault.name) for t in trials), default=0)
    lines = []
    for trial in trials:
        red = ", ".join(
            f"{cell} {'|'.join(r.value for r in reasons)}"
            for cell, reasons in trial.fault.expect.items()
        )
        lines.append(
            f"{trial.finding.value:7} {trial.seconds:4.0f} s  {trial.fault.name:{width}}  {red}"
        )
        whole = trial.finding is not Finding.CAUGHT
        lines += [f"{'':16}{line if whole else _short(line)}" for line in trial.seen]
    return "\n".join(lines)


def caught(trials: Sequence[Trial]) -> str:
    """``caught 15/16; missed: NAME``"""
    lists = {
        finding: [t.fault.name for t in trials if t.finding is finding]
        for finding in (Finding.MISSED, Finding.BROKEN)
    }
    rest = [f"{finding.value}: {', '.join(names)}" for finding, names in lists.items() if names]
    good = sum(t.finding is Finding.CAUGHT for t in trials)
    return "; ".join([f"caught {good}/{len(trials)}", *rest])


def _short(line: str) -> str:
    cell, _, words = line.partition(": ")
    short = words if len(words) <= _SUMMARY_WIDTH else f"{words[: _SUMMARY_WIDTH - 1]}…"
    return f"{cell}: {short}"


def _mend(names: Sequence[str]) -> str:
    expression = " or ".join(f"test_cell[{name}]" for name in names)
    return f"fix it first: ./invoke test --matrix --subset full -k '{expression}'"


def _plan(project: Project) -> Path:
    return project.root / "tests" / "matrix.toml"
