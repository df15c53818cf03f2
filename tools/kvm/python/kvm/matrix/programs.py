# SPDX-License-Identifier: GPL-2.0-only
"""Runs test programs one after another: the shell script for it, and its output as cases.

The script works in a POSIX shell with ``timeout``: a lab host's or a guest's busybox. It starts
no other process, because each costs milliseconds under emulation. A program's output is
unchanged, between marks that name the program. Used by the kselftest workloads.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kvm.verdict import ktap
from kvm.verdict.ktap import Case, Status, status_of_exit_code
from kvm.verdict.vocabulary import Verdict

_MARK = "@@tools-kvm"
_BEGIN = re.compile(rf"{_MARK} begin (?P<name>\S+)$")
_END = re.compile(rf"{_MARK} end (?P<name>\S+) (?P<code>\d+) (?P<from>\d+\.\d+) (?P<to>\d+\.\d+)$")
_RUN = f"""t() {{
limit=$1 name=$2; shift 2
echo "{_MARK} begin $name"
read -r from _ </proc/uptime
timeout -k 3 "$limit" "$@" </dev/null 2>&1
code=$?
read -r to _ </proc/uptime
if [ "$code" -ge 124 ] && [ -n "$alone" ]; then kill -9 -1; fi
echo
echo "{_MARK} end $name $code $from $to"
}}
"""
# Lines that occur only in (K)TAP, in any of its dialects.
_KTAP = re.compile(r"[ \t]*(?:# )*(?:ok \d|not ok \d|K?TAP version \d+|1\.\.\d+)")
_SKIP = re.compile(r"(?:1\.\.0 # SKIP|ok \d+ .*# SKIP|\[SKIP\]) *[-:]? *(?P<why>.+)")
_KEPT_LINES = 30
_DIED_BY_TIMEOUT = (124, 128 + signal.SIGTERM, 128 + signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Program:
    """``argv[0]`` is its path on the machine that runs it; it is stopped after ``limit_s``."""

    name: str
    argv: tuple[str, ...]
    limit_s: int = 30


@dataclass(slots=True)
class _Run:
    name: str
    lines: list[str] = field(default_factory=list)
    code: int | None = None
    seconds: float = 0.0


def script(programs: Iterable[Program], *, folder: str = "/tmp", alone: bool = False) -> str:
    """The text for ``sh -c``; the programs run one after another in ``folder``.

    ``alone``: nothing but the script runs there, so processes left by a program that crashed or
    was stopped are killed. (busybox' ``timeout`` ends one process, not its children.)
    """
    lines = [_RUN, f"alone={'yes' if alone else ''}", f"cd {shlex.quote(folder)} || exit 9"]
    for program in programs:
        words = (str(program.limit_s), program.name, *program.argv)
        lines.append("t " + " ".join(shlex.quote(word) for word in words))
    return "\n".join(lines)


def begun(line: str) -> str | None:
    """The name of the program that this line of output announces."""
    found = _BEGIN.match(line.rstrip())
    return found["name"] if found else None


def read(lines: Iterable[str], programs: Sequence[Program]) -> tuple[Case, ...]:
    """One case for each program, with its own (K)TAP below; one that never ran is an ERROR."""
    runs = {run.name: run for run in _split(lines)}
    return tuple(
        _case(runs[p.name], p) if p.name in runs else Case(p.name, Status.ERROR, "it did not run")
        for p in programs
    )


def _split(lines: Iterable[str]) -> Iterator[_Run]:
    run: _Run | None = None
    for raw in lines:
        line = raw.rstrip()
        if begin := _BEGIN.match(line):
            if run is not None:
                yield run
            run = _Run(begin["name"])
        elif run is not None and (end := _END.match(line)) and end["name"] == run.name:
            run.code = int(end["code"])
            run.seconds = float(end["to"]) - float(end["from"])
            yield run
            run = None
        elif run is not None and line:
            run.lines.append(line)
    if run is not None:
        yield run


def _case(run: _Run, program: Program) -> Case:
    if run.code is None:
        return _with_tail(Case(run.name, Status.ERROR, "it began and did not end"), run)
    report = ktap.parse(run.lines) if any(map(_KTAP.match, run.lines)) else ktap.Report()
    case = Case(run.name, status_of_exit_code(run.code), children=report.cases)
    if run.code in _DIED_BY_TIMEOUT and run.seconds >= program.limit_s:
        note = f"stopped after {program.limit_s} s"
        return _with_tail(Case(run.name, Status.TIMEOUT, note, children=report.cases), run)
    if case.status is Status.SKIP:
        return Case(run.name, Status.SKIP, _why_skipped(run.lines))
    if case.status is Status.FAIL:
        return _with_tail(Case(run.name, Status.FAIL, _why(run), children=report.cases), run)
    failed = next((leaf.name for leaf in report.leaves() if leaf.status is Status.FAIL), None)
    if failed is not None:
        note = f"it ended with {run.code} although {failed} failed"
        return _with_tail(Case(run.name, Status.FAIL, note, children=report.cases), run)
    if report.problems:
        note = f"it ended with {run.code} although {report.problems[0]}"
        return _with_tail(Case(run.name, Status.FAIL, note, children=report.cases), run)
    if report.verdict is Verdict.SKIP and case.status is Status.PASS:
        return Case(run.name, Status.SKIP, _why_skipped(run.lines), children=report.cases)
    return case


def _with_tail(case: Case, run: _Run) -> Case:
    tail = tuple(run.lines[-_KEPT_LINES:])
    return Case(case.name, case.status, case.note, tail, case.children)


def _why_skipped(lines: Sequence[str]) -> str:
    found = [matched["why"] for line in lines if (matched := _SKIP.search(line))]
    return (found[0] if found else next(iter(lines[-1:]), "")).strip()


def _why(run: _Run) -> str:
    """The most telling line: a KVM selftest's assertion, else how it ended."""
    assert run.code is not None
    for number, line in enumerate(run.lines[:-1]):
        if "Test Assertion Failure" in line:
            return run.lines[number + 1].strip()
    if run.code > 128:
        try:
            return f"killed by {signal.Signals(run.code - 128).name}"
        except ValueError:
            pass
    return f"exit code {run.code}"
