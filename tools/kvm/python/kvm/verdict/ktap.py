# SPDX-License-Identifier: GPL-2.0-only
"""Reads and writes KTAP: TAP 13/14, KUnit and kselftest output as one small model.

There are three dialects of nesting: KUnit and KTAP indent a subtest, kselftest puts "# " before
each of its lines. All are read as depth. A subtest's results precede the result line of their
parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from kvm.verdict.vocabulary import Verdict


class Status(Enum):
    PASS = "pass"
    FAIL = "fail"
    XFAIL = "xfail"
    XPASS = "xpass"
    SKIP = "skip"
    TIMEOUT = "timeout"
    ERROR = "error"

    @property
    def verdict(self) -> Verdict:
        if self in (Status.PASS, Status.XFAIL, Status.XPASS):
            return Verdict.PASS
        if self is Status.SKIP:
            return Verdict.SKIP
        return Verdict.ERROR if self is Status.ERROR else Verdict.FAIL


# tools/testing/selftests/kselftest.h KSFT_*, and 124 from timeout(1) in its runner.
_KSELFTEST_CODES = {
    0: Status.PASS,
    1: Status.FAIL,
    2: Status.XFAIL,
    3: Status.XPASS,
    4: Status.SKIP,
    124: Status.TIMEOUT,
}


def status_of_exit_code(code: int) -> Status:
    """The status that a kselftest program reports by its exit code."""
    return _KSELFTEST_CODES.get(code, Status.FAIL)


@dataclass(frozen=True, slots=True)
class Case:
    """One result line, the comments before it, and the subtests it summarizes."""

    name: str
    status: Status
    note: str = ""  # the words after "# SKIP"
    comments: tuple[str, ...] = ()
    children: tuple[Case, ...] = ()

    def leaves(self) -> Iterator[Case]:
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. ``problems`` say where the output contradicts itself."""

    cases: tuple[Case, ...] = ()
    problems: tuple[str, ...] = ()
    skipped: str | None = None  # why the whole run was skipped: the text of "1..0 # SKIP"

    def leaves(self) -> Iterator[Case]:
        for case in self.cases:
            yield from case.leaves()

    @property
    def verdict(self) -> Verdict:
        found = {case.status.verdict for case in self.cases} | {
            leaf.status.verdict for leaf in self.leaves()
        }
        if Verdict.FAIL in found:
            return Verdict.FAIL
        if not found and self.skipped is not None and not self.problems:
            return Verdict.SKIP
        if self.problems or Verdict.ERROR in found or not found:
            return Verdict.ERROR
        # A parent is "ok" even if its subtests were all skipped.
        leaves = {leaf.status.verdict for leaf in self.leaves()}
        return Verdict.SKIP if leaves == {Verdict.SKIP} else Verdict.PASS


_DEPTH = re.compile(r"(?:[ \t]|# (?=\s*(?:#|ok\b|not ok\b|K?TAP version|1\.\.\d|Bail out!)))*")
_RESULT = re.compile(
    r"(?P<not>not )?ok\b *(?P<number>\d+)? *(?:- )?(?P<name>(?:\\#|[^#])*?)"
    r"(?:\s*# *(?P<word>(?i:SKIP|TODO)|XFAIL|XPASS|TIMEOUT|ERROR|error)?\b:?(?P<note>.*))?$"
)
_PLAN = re.compile(r"1\.\.(?P<count>\d+)(?P<skip>\s*# *(?i:SKIP)\b:? *(?P<note>.*))?")
_VERSION = re.compile(r"K?TAP version \d+$")
_BAIL = re.compile(r"Bail out! *(?P<why>.*)")


@dataclass(slots=True)
class _Level:
    depth: int
    cases: list[Case] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    plan: int | None = None
    skipped: str | None = None


def parse(lines: Iterable[str]) -> Report:
    """Read (K)TAP; other lines are kept as comments of the next result."""
    levels = [_Level(0)]
    problems: list[str] = []
    for raw in lines:
        line = raw.rstrip()
        prefix = _DEPTH.match(line)
        depth = prefix.end() if prefix else 0
        text = line[depth:]
        plan, bail = _PLAN.match(text), _BAIL.match(text)
        result = _RESULT.match(text) if text.startswith(("ok", "not ok")) else None
        if not (plan or bail or result or _VERSION.match(text)):
            if line.strip():
                levels[-1].comments.append(text.removeprefix("# "))
            continue
        children, orphaned = _unwind(levels, depth, problems)
        level = levels[-1]
        if result:
            comments = (*level.comments, *orphaned)
            level.comments.clear()
            level.cases.append(_case(result, comments, children))
            _check_number(result, level, problems)
            continue
        level.cases.extend(children)
        if plan:
            level.plan = int(plan["count"])
            if plan["skip"] and level.plan == 0:
                level.skipped = (plan["note"] or "").strip(" -")
        if bail:
            problems.append(f"bailed out: {bail['why']}".rstrip(": "))
    children, _ = _unwind(levels, 0, problems)
    _check_plan(levels[0], problems)
    return Report((*levels[0].cases, *children), tuple(problems), levels[0].skipped)


def _unwind(
    levels: list[_Level], depth: int, problems: list[str]
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Go to ``depth``; deeper results become the children of its next result."""
    children: tuple[Case, ...] = ()
    comments: tuple[str, ...] = ()
    while levels[-1].depth > depth:
        level = levels.pop()
        _check_plan(level, problems)
        children = (*level.cases, *children)
        comments = (*level.comments, *comments)
    if levels[-1].depth < depth:
        levels.append(_Level(depth, list(children)))
        return (), comments
    return children, comments


def _check_plan(level: _Level, problems: list[str]) -> None:
    if level.plan is not None and level.plan != len(level.cases):
        problems.append(f"{level.plan} tests were planned, {len(level.cases)} reported")


def _check_number(found: re.Match[str], level: _Level, problems: list[str]) -> None:
    """A number out of order shows that a result was lost, or came from elsewhere."""
    due = len(level.cases)
    if found["number"] and int(found["number"]) != due:
        problems.append(f"test {due} was due, number {found['number']} was reported")


def _case(found: re.Match[str], comments: tuple[str, ...], children: tuple[Case, ...]) -> Case:
    word = (found["word"] or "").upper()
    note = found["note"] or ""
    status = Status.FAIL if found["not"] else Status.PASS
    if word in ("TIMEOUT", "ERROR") and not found["not"]:
        note = f"{found['word']}{note}"  # no directive: a test that timed out is not "ok"
    elif word in ("SKIP", "TIMEOUT", "ERROR", "XFAIL", "XPASS"):
        status = Status[word]
    elif word == "TODO":
        status = Status.XFAIL if found["not"] else Status.XPASS
    name = found["name"].strip().replace("\\#", "#") or (found["number"] or "")
    return Case(name, status, note.strip(), comments, children)


def write(report: Report) -> str:
    """The report as KTAP version 1."""
    lines = _write(report.cases, "")
    if report.skipped is not None and not report.cases:
        lines[-1] += f" # SKIP {report.skipped}".rstrip()
    lines += [f"Bail out! {problem}" for problem in report.problems]
    return "\n".join(lines) + "\n"


def _write(cases: tuple[Case, ...], indent: str) -> list[str]:
    lines = [f"{indent}KTAP version 1", f"{indent}1..{len(cases)}"]
    for number, case in enumerate(cases, 1):
        if case.children:
            lines += _write(case.children, indent + "  ")
        lines += [f"{indent}# {comment}" for comment in case.comments]
        good = case.status.verdict in (Verdict.PASS, Verdict.SKIP)
        plain = case.status in (Status.PASS, Status.FAIL)
        directive = "" if plain else f" # {case.status.name} {case.note}".rstrip()
        name = case.name.replace("#", "\\#")
        lines.append(f"{indent}{'ok' if good else 'not ok'} {number} {name}{directive}")
    return lines
