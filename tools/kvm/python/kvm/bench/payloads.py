# SPDX-License-Identifier: GPL-2.0-only
"""``bench payloads``: each payload of a suite under our VMM and under QEMU, in one lab host.

Both use the lab host's KVM, the tree's. QEMU is started as kvm-unit-tests starts it, with the cfg's
own words, even those without an equivalent in our VMM. The verdicts are compared; the seconds are
wall-clock time, and include the start of QEMU in an emulated machine.
"""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvm.bench.result import Figures
from kvm.errors import InfrastructureError
from kvm.host.base import CommandTimeout
from kvm.output.progress import Progress
from kvm.output.words import one_line
from kvm.project import Project
from kvm.run import halves as build_halves
from kvm.run import rundir, staging
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.run import open_host
from kvm.run.payload.suite import plan as planning
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.here import HereBench
from kvm.run.payload.suite.plan import Given, Plan, Selection, SuiteTest
from kvm.run.payload.suite.run import Result
from kvm.run.spine import RunSite
from kvm.spec.machine import MachineSpec
from kvm.verdict.ktap import Case, Status
from kvm.verdict.payload import outcome_of, status_of

PEER = "qemu"
# The arguments of kvm-unit-tests' x86 runner for QEMU in each test.
_MACHINE = (
    *("qemu-system-x86_64", "-no-reboot", "-nodefaults", "-display", "none"),
    *("-serial", "stdio", "-machine", "accel=kvm"),
    *("-global", "kvm-pit.lost_tick_policy=discard", "-device", "pc-testdev"),
    *("-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-device", "pci-testdev"),
)
# QEMU exits with 1 both for a pass and if it refuses its arguments; then it says why.
_REFUSED = re.compile(r"^qemu-system-x86_64: (?!.*\bwarning\b)(?P<why>.+)$", re.MULTILINE)
_EXTRA_S = 30.0  # to start QEMU in an emulated machine
_LOST_TRIES = 2
_WHY_COLUMNS = 120


@dataclass(frozen=True, slots=True)
class Pair:
    """One test's two results; the seconds are None if it did not run."""

    name: str
    ours: Case
    ours_s: float | None
    peer: Case
    peer_s: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tools-kvm": _side(self.ours, self.ours_s),
            PEER: _side(self.peer, self.peer_s),
        }


def report(project: Project, progress: Progress, *, suite: str, names: str) -> Figures:
    """Run the suite and render the result."""
    options = PayloadOptions(Path(suite).expanduser().absolute(), host="lab")
    plan = planning.load(Given(options), Selection.of(names, ""))
    pairs = compare(project, progress, plan)
    return Figures(to_json(plan, pairs), table(pairs))


def compare(project: Project, progress: Progress, plan: Plan) -> list[Pair]:
    """Run both sides of every test, one test after another."""
    halves = build_halves.build(project, progress)
    bench = HereBench(project, halves, "lab", rundir.create(project.runs), progress)
    pairs: list[Pair] = []
    with progress.phase("payloads") as say:
        number = 0

        def begins(count: int, test: SuiteTest) -> None:
            nonlocal number
            number = count
            say(f"{number}/{len(plan.tests)} {test.name}")

        def ends(result: Result) -> None:
            say(f"{number}/{len(plan.tests)} {result.test.name} (QEMU)")
            peer, seconds = _under_qemu(bench, result)
            ours_s = result.seconds if result.record is not None else None
            pairs.append(Pair(result.test.name, result.case, ours_s, peer, seconds))

        done = running.run(plan, bench, None, begins, ends)
    if done.interrupted:
        raise KeyboardInterrupt
    return pairs


def qemu_argv(test: SuiteTest, kernel: Path, module: Path | None) -> tuple[str | Path, ...]:
    """The command line; ``kernel`` is the payload's path in the lab host."""
    options = test.options
    words: list[str | Path] = [*_MACHINE, "-kernel", kernel, "-smp", str(options.vcpus)]
    words += ["-append", options.append] if options.append else []
    words += ["-initrd", module] if module is not None else []
    if "-m" not in test.qemu:
        words += ["-m", str(options.memory_mib)]
    return (*words, *_without(test.qemu, ("-append", "-initrd")))


def peer_case(name: str, code: int, output: str) -> Case:
    """The result from QEMU's exit code: isa-debug-exit's, or QEMU's own."""
    if code in (0, 1) and (refused := _REFUSED.search(output)):
        return Case(name, Status.SKIP, f"QEMU: {refused['why'].strip()}")
    if code == 0:
        return Case(name, Status.FAIL, "QEMU ended, and not by the payload's word")
    outcome = outcome_of(name, code)
    return Case(name, status_of(outcome), outcome.summary)


def table(pairs: Sequence[Pair]) -> str:
    """One line a test, why those with a ``*`` differ, and how many of each there are."""
    width = max((len(pair.name) for pair in pairs), default=4)
    lines = [f"{'test':{width}}  {'tools-kvm':16}  {PEER}"]
    for pair in pairs:
        ours, peer = _cell(pair.ours, pair.ours_s), _cell(pair.peer, pair.peer_s)
        mark = "" if pair.ours.status is pair.peer.status else "  *"
        lines.append(f"{pair.name:{width}}  {ours:16}  {peer:16}{mark}".rstrip())
    for pair in pairs:
        if pair.ours.status is not pair.peer.status:
            lines.append(f"* {pair.name}: {_why(pair.ours)} | {_why(pair.peer)}")
    for side, counts in counted(pairs).items():
        words = ", ".join(f"{count} {status}" for status, count in counts.items())
        lines.append(f"{side}: {words} of {len(pairs)}")
    return "\n".join(lines) + "\n"


def counted(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    sides = {"tools-kvm": [p.ours for p in pairs], PEER: [p.peer for p in pairs]}
    return {
        side: dict(sorted(Counter(case.status.value for case in cases).items()))
        for side, cases in sides.items()
    }


def to_json(plan: Plan, pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        "suite": str(plan.cfg),
        "counts": counted(pairs),
        "left_out": list(plan.left_out),
        "tests": [pair.to_json() for pair in pairs],
    }


def _under_qemu(bench: HereBench, ours: Result) -> tuple[Case, float | None]:
    """The same test under QEMU, even if ours can't run it; a lost lab host is retried."""
    test = ours.test
    if ours.record is None and not test.foreign:
        return ours.case, None
    for number in range(1, _LOST_TRIES + 1):
        try:
            start = time.monotonic()
            case = _once_under_qemu(bench, test, number)
            return case, time.monotonic() - start
        except InfrastructureError as lost:
            case = Case(test.name, Status.ERROR, str(lost))
    return case, None


def _once_under_qemu(bench: HereBench, test: SuiteTest, number: int) -> Case:
    options = test.options
    folder = bench.folder / f"{test.name}.{PEER}{number}"
    folder.mkdir()
    spec = MachineSpec(options.file.absolute(), options.environment, "")
    with Progress(io.StringIO(), live=False) as quiet:
        host = open_host(bench.project, "lab", bench.halves, quiet, RunSite(folder))
    try:
        with staging.staged(spec, host, bench.project, folder) as files:
            argv = qemu_argv(test, files.spec.kernel, files.spec.initrd)
            try:
                code, output = host.run_command(argv, timeout_s=options.timeout_s + _EXTRA_S)
            except CommandTimeout as late:
                (folder / "output.log").write_text(late.output)
                return Case(test.name, Status.TIMEOUT, f"not done after {options.timeout_s:g} s")
        (folder / "output.log").write_text(output)
        return peer_case(test.name, code, output)
    finally:
        host.close()


def _without(words: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The words without some options and their values, which are set elsewhere."""
    kept = []
    rest = iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        else:
            kept.append(word)
    return tuple(kept)


def _cell(case: Case, seconds: float | None) -> str:
    return case.status.name if seconds is None else f"{case.status.name} {seconds:.1f} s"


def _why(case: Case) -> str:
    return one_line(case.note, _WHY_COLUMNS) or case.status.name


def _side(case: Case, seconds: float | None) -> dict[str, Any]:
    return {
        "status": case.status.value,
        "note": case.note,
        "seconds": None if seconds is None else round(seconds, 3),
    }
