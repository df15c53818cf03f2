# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke test --bisect-planted``: does a bisection find planted regressions, and whose?

A history of 64 commits is made in a checkout of its own (``planted_history.py``), with regressions
and with obstacles to a bisection: commits that do not build or boot, other failures, a flake. Each
regression is searched for by ``./invoke bisect``, as a user would call it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kvm import process
from kvm.bisect.planted_history import Case, History, build_history
from kvm.errors import UsageError
from kvm.lock import locked
from kvm.output import targets
from kvm.output.progress import Progress
from kvm.output.targets import Outputs
from kvm.output.words import clean
from kvm.project import Project
from kvm.verdict.vocabulary import EXIT_BAD, EXIT_GOOD

SCHEMA = 1
_DEADLINE_S = 3600.0
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one case. ``record`` is the bisection's report, {} if it made none."""

    case: Case
    record: dict[str, Any]
    said: tuple[str, ...]
    seconds: float

    @property
    def right_commit(self) -> bool:
        found = self.record.get("first_bad")
        return found is not None and found["id"] == self.case.culprit

    @property
    def right_blame(self) -> bool:
        blame = self.record.get("blame") or {}
        parts = blame.get("parts", [])
        return blame.get("label") == self.case.label and (
            not self.case.part or parts == [self.case.part]
        )

    @property
    def right(self) -> bool:
        return self.right_commit and self.right_blame

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "cell": self.case.cell,
            "culprit": self.case.culprit,
            "expected": {"label": self.case.label, "part": self.case.part},
            "right_commit": self.right_commit,
            "right_blame": self.right_blame,
            "seconds": round(self.seconds, 1),
            "step_s": _steps_s(self.record),
            "report": self.record,
        }


def run(project: Project, progress: Progress, *, only: str = "", json_target: str = "") -> int:
    """Search for each case (``only``: those with the word in their name); 0 if all are right."""
    folder = project.build / "bisect-planted"
    begun = time.monotonic()
    with (
        locked(folder / "lock", "a run of the planted bisections", wait_s=1.0),
        targets.opened(json_target) as out,
    ):
        with progress.phase("history") as say:
            history = build_history(project, folder / "checkout", say)
        cases = [case for case in history.cases if only in case.name]
        if not cases:
            names = ", ".join(case.name for case in history.cases)
            raise UsageError(f"-k {only}: no planted case has that in its name", f"use {names}")
        trials = []
        for case in cases:
            with progress.phase(case.name) as say:
                trial = _hunt(Project(folder / "checkout"), history, case, say)
            trials.append(trial)
            progress.note(_line(trial))
        progress.close()
        _report(trials, time.monotonic() - begun, json_target, out)
        return out.exit_code(EXIT_GOOD if all(trial.right for trial in trials) else EXIT_BAD)


def _hunt(checkout: Project, history: History, case: Case, say: Any) -> Trial:
    answer = checkout.build / f"{case.name}.json"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.unlink(missing_ok=True)
    begun = time.monotonic()
    done = process.run(
        (
            *(sys.executable, "-m", "invoke", "bisect", "--good", history.base),
            *("--bad", history.tip, "--cell", case.cell, "--json", str(answer)),
        ),
        cwd=checkout.root,
        env={
            "PYTHONPATH": str(checkout.root / "tools" / "kvm" / "python"),
            **dict.fromkeys(("KERNEL_TREE", "O", "KBUILD_OUTPUT", "PYTEST_XDIST_WORKER"), ""),
        },
        on_line=lambda line: say(line.strip()),
        check=False,
        timeout_s=_DEADLINE_S,
    )
    try:
        record = json.loads(answer.read_text())
    except (OSError, ValueError):
        record = {}
    tail = tuple(done.output.splitlines()[-_TAIL_LINES:])
    return Trial(case, record, tail, time.monotonic() - begun)


def _report(trials: Sequence[Trial], seconds: float, target: str, out: Outputs) -> None:
    for trial in trials:
        print(clean(_line(trial)))
        if not trial.right:
            print("\n".join(f"    {clean(line)}" for line in trial.said))
    right = sum(trial.right for trial in trials)
    print(f"{right} of {len(trials)} found and blamed right in {seconds:.0f} s")
    if not target:
        return
    record = {
        "schema": SCHEMA,
        "right": right,
        "planted": len(trials),
        "seconds": round(seconds, 1),
        "cases": [trial.to_json() for trial in trials],
    }
    out.put(target, json.dumps(record, indent=1) + "\n")


def _line(trial: Trial) -> str:
    found = trial.record.get("first_bad") or {}
    blame = trial.record.get("blame") or {}
    steps = _steps_s(trial.record)
    each = f", {statistics.median(steps):.0f} s a step" if steps else ""
    verdict = "right" if trial.right else "WRONG"
    return (
        f"{verdict} {trial.case.name}: {found.get('id', 'no commit')[:12]} "
        f"{found.get('subject', '')!r}, {blame.get('label', 'no blame')} "
        f"{blame.get('parts', '')} ({trial.seconds:.0f} s{each})"
    )


def _steps_s(record: dict[str, Any]) -> list[float]:
    return [step["seconds"] for step in record.get("steps", [])]
