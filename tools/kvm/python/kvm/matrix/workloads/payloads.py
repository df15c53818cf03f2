# SPDX-License-Identifier: GPL-2.0-only
"""Runs a folder of payloads, such as kvm-unit-tests' x86: ``--workload payloads:FOLDER``.

After the folder and a blank come ``k=NAME,...``, ``g=GROUP,...`` and ``expected=LIST``, as for
``./invoke payload --suite``. The payloads have the cell's host and memory; their number of vCPUs
is in the folder's cfg.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import InfrastructureError, UserError
from kvm.matrix.workload import Bench, CellSkipped, Workload
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite import cfg
from kvm.run.payload.suite import plan as planning
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.plan import Given, Selection, SuiteTest
from kvm.verdict.ktap import Status
from kvm.verdict.vocabulary import Verdict

PREFIX = "payloads:"
_SETTINGS = ("k", "g", "expected")
# Less than the hour that pytest allows for a cell's test.
_DEADLINE_S = 3000.0


@dataclass(frozen=True, slots=True)
class _Request:
    folder: Path
    settings: Mapping[str, str]

    @property
    def selection(self) -> Selection:
        return Selection.of(self.settings.get("k", ""), self.settings.get("g", ""))


def payloads_workload(text: str) -> Workload:
    """The workload for the text of ``--workload``. Raises ``UserError``, also for a bad cfg."""
    request = _parse(text)
    cfg.read(cfg.find(request.folder))
    proves = f"the test payloads of {request.folder} pass"
    return Workload("payloads", lambda bench: _run(bench, request), proves, _DEADLINE_S)


def _parse(text: str) -> _Request:
    hint = "write payloads:FOLDER, then k=NAME,... g=GROUP,... or expected=LIST"
    try:
        folder, *words = shlex.split(text.removeprefix(PREFIX))
    except ValueError:
        raise UserError(f"--workload {text} names no folder", hint) from None
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in _SETTINGS:
            raise UserError(f"--workload {text}: {word!r} is unknown", hint)
        settings[name] = value
    return _Request(Path(folder).expanduser().absolute(), settings)


def _run(bench: Bench, request: _Request) -> None:
    host = "native" if bench.cell.host == "native" else "lab"
    options = PayloadOptions(request.folder, memory_mib=bench.cell.memory_mib, host=host)
    plan = planning.load(Given(options), request.selection)
    known = running.known_failures(bench.project, plan, request.settings.get("expected", ""))

    def begins(number: int, test: SuiteTest) -> None:
        bench.say(f"{test.name} ({number}/{len(plan.tests)})")

    done = running.run(plan, bench, known, begins, lambda result: None)
    if done.interrupted:
        raise KeyboardInterrupt
    cases = (*(result.case for result in done.results), *done.stale)
    verdicts = {case.status.verdict for case in cases}
    if verdicts == {Verdict.SKIP}:
        raise CellSkipped(f"every test was skipped, the first: {cases[0].note}")
    lost = [case for case in cases if case.status is Status.ERROR]
    if not lost or Verdict.FAIL in verdicts:
        bench.add(cases)
        return
    bench.add([case for case in cases if case not in lost])
    raise InfrastructureError(f"{lost[0].name}: {lost[0].note}")


# There is none without the user's text.
WORKLOADS: tuple[Workload, ...] = ()
