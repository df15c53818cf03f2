# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests of a plan one after another, each as a payload of its own.

The caller says how to run one (``Bench``) and is notified of each end. A test's hang, crash or
panic is its own verdict; a lost lab host says nothing about the test, which runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from kvm.errors import UserError
from kvm.host.base import Host, HostLost
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite.plan import Plan, SuiteTest
from kvm.run.record import RunRecord
from kvm.verdict import expected
from kvm.verdict.expected import Expected
from kvm.verdict.ktap import Case, Status
from kvm.verdict.payload import checks, status_of
from kvm.verdict.vocabulary import Reason, Verdict

_LOST_RETRIES = 2
_READ_S = 20.0
_INTERRUPTED = "interrupted"
_EXPECTED = "expected.toml"


class Bench(Protocol):
    """Runs the tests of a suite."""

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        """Run it in a folder of this name. Raises ``KeyboardInterrupt`` on Ctrl-C."""

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        """The contents of files on the host, without the last newline; no unreadable ones."""


@dataclass(frozen=True, slots=True)
class Result:
    """``case`` counts, judged by the list of expected failures; ``record`` is None if none ran."""

    test: SuiteTest
    case: Case
    started: float = 0.0
    seconds: float = 0.0
    record: RunRecord | None = None


@dataclass(slots=True)
class Done:
    """``stale`` are entries of the list of expected failures that match no test of the suite."""

    results: list[Result] = field(default_factory=list)
    stale: tuple[Case, ...] = ()
    interrupted: bool = False


Begins = Callable[[int, SuiteTest], None]
Ends = Callable[[Result], None]


def run(plan: Plan, bench: Bench, known: Expected | None, begins: Begins, ends: Ends) -> Done:
    """Run all tests; on Ctrl-C return what was done until then."""
    done = Done()
    try:
        files = _files(plan, bench)
        for number, test in enumerate(plan.tests, 1):
            begins(number, test)
            result = _judged(_run(test, bench, files), known)
            done.results.append(result)
            ends(result)
        if known is not None:
            done.stale = _stale(plan, done.results, known)
            done.results = _settled(done.results, bench, known, begins, ends)
    except KeyboardInterrupt:
        done.interrupted = True
    return done


def known_failures(project: Project, plan: Plan, given: str) -> Expected | None:
    """The list that was named, or the suite's own; None if there is none."""
    if not given:
        beside = plan.cfg.with_name(_EXPECTED)
        return expected.parse(beside) if beside.is_file() else None
    if "/" in given or given.endswith(".toml"):
        return expected.parse(Path(given).expanduser())
    return expected.load(project, given)


def _files(plan: Plan, bench: Bench) -> Mapping[Path, str]:
    """The files that tests depend on; none if the host does not come up, as each test reports."""
    try:
        return bench.host_files(sorted({path for test in plan.tests for path, _ in test.checks}))
    except HostLost:
        return {}


def read_files(host: Host, paths: Sequence[Path]) -> dict[Path, str]:
    """See ``Bench.host_files``."""
    found = {}
    for path in paths:
        code, text = host.run_command(("cat", "--", path), timeout_s=_READ_S)
        if code == 0:
            found[path] = text.rstrip("\n")
    return found


def check_interrupted(record: RunRecord) -> RunRecord:
    """Let Ctrl-C, which first ends a payload, end its suite too."""
    if record.outcome.summary == _INTERRUPTED:
        raise KeyboardInterrupt
    return record


def _run(test: SuiteTest, bench: Bench, files: Mapping[Path, str]) -> Result:
    if skip := test.skip or _unmet(test, files):
        return Result(test, Case(test.name, Status.SKIP, skip), time.time())
    started, begin = time.time(), time.monotonic()
    try:
        record = bench.payload(test.options, test.name)
        for number in range(2, 2 + _LOST_RETRIES):
            if not _was_lost(record):
                break
            record = bench.payload(test.options, f"{test.name}.{number}")
    except (
        UserError,
        OSError,
    ) as wrong:  # something is wrong with this test's files: the others run
        return Result(test, Case(test.name, Status.ERROR, str(wrong)), started)
    return Result(test, case_of(test.name, record), started, time.monotonic() - begin, record)


def _unmet(test: SuiteTest, files: Mapping[Path, str]) -> str:
    for path, wanted in test.checks:
        if files.get(path) != wanted:
            there = f"is {files[path]!r}" if path in files else "is not there"
            return f"needs {path} to be {wanted!r} where KVM runs; it {there}"
    return ""


def _was_lost(record: RunRecord) -> bool:
    outcome = record.outcome
    return outcome.verdict is Verdict.ERROR and outcome.reason is Reason.INFRASTRUCTURE


def case_of(name: str, record: RunRecord) -> Case:
    """The record as a test's result, with the checks that the payload printed as subtests."""
    outcome = record.outcome
    status = status_of(outcome)
    below = checks(record.guest.stdout)
    if status is Status.PASS:
        return Case(name, status, children=below)
    failed = [check.name for check in below if check.status is Status.FAIL]
    first = f"; {len(failed)} checks failed, first: {failed[0]}" if failed else ""
    said = record.guest.stdout.strip().splitlines()[-1:] if status is Status.SKIP else ()
    return Case(name, status, f"{outcome.summary}{first}", tuple(said), below)


def _judged(result: Result, known: Expected | None) -> Result:
    if known is None:
        return result
    return replace(result, case=expected.apply((result.case,), known)[0])


def _stale(plan: Plan, results: Sequence[Result], known: Expected) -> tuple[Case, ...]:
    """Entries that match nothing, except those of tests that did not run now."""
    idle = plan.known - {result.test.name for result in results if result.record is not None}
    entries = {n: e for n, e in known.entries.items() if n.split("/")[0] not in idle}
    cases = [result.case for result in results]
    return expected.apply(cases, Expected(entries))[len(cases) :]


def _settled(
    results: Sequence[Result], bench: Bench, known: Expected, begins: Begins, ends: Ends
) -> list[Result]:
    """Repeat the tests that may fail by chance; the majority of runs counts."""
    names = expected.to_repeat((result.case for result in results), known)
    again: dict[str, list[Case]] = {name: [] for name in names}
    settled = []
    for number, result in enumerate(results, 1):
        if result.test.name in again and result.record is not None:
            for count in range(1, known.runs):
                begins(number, result.test)
                record = bench.payload(result.test.options, f"{result.test.name}.again{count}")
                again[result.test.name].append(case_of(result.test.name, record))
            cases = [(case,) for case in again[result.test.name]]
            (case,) = expected.settle((result.case,), cases, known)
            result = replace(result, case=case)
            ends(result)
        settled.append(result)
    return settled
