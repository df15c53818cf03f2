# SPDX-License-Identifier: GPL-2.0-only
"""Applies lists of expected failures, ``tests/matrix/expected/*.toml``, to a suite's results.

    [[expect]]
    name = "debug_regs"            # a subtest: "suite/subtest"
    status = "fail"                # or "skip", "timeout", "error"
    reason = "…"

An expected failure becomes XFAIL, a pass in its place XPASS; neither is a failure. An unexpected
skip is no failure either, but is reported. Called by the workloads that run test suites of other
projects.

    [unsteady]
        runs = 3                       # odd; a failed test is repeated until it has run so often
    reason = "…"

says that any test of the suite may fail by chance, and why: the majority of its runs counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.errors import UserError
from kvm.project import Project
from kvm.toml_lines import TomlLines
from kvm.verdict.ktap import Case, Status

_KEYS = ("name", "status", "reason")
_STATUSES = {
    "fail": Status.FAIL,
    "skip": Status.SKIP,
    "timeout": Status.TIMEOUT,
    "error": Status.ERROR,
}
_BAD = (Status.FAIL, Status.TIMEOUT)
_UNSTEADY_KEYS = ("runs", "reason")
# More failures than this at once are not by chance, and repeating them all would take long.
_BY_CHANCE = 4


@dataclass(frozen=True, slots=True)
class Expectation:
    """One entry; ``where`` is its file and line."""

    name: str
    status: Status
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A suite's list, by name; how often a failed test is run in all, and why it may fail."""

    entries: Mapping[str, Expectation]
    runs: int = 1
    chance: str = ""


def load(project: Project, suite: str) -> Expected:
    """The list of ``suite``, by name. Raises ``UserError`` with file, line and key."""
    return parse(project.root / "tests" / "matrix" / "expected" / f"{suite}.toml")


def parse(path: Path) -> Expected:
    try:
        text = path.read_text()
        content = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "restore it") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}", "fix that line") from error
    lines = TomlLines(text)
    if unknown := next((key for key in content if key not in ("expect", "unsteady")), None):
        raise UserError(
            f"{path}:{lines.find((unknown,))}: {unknown!r} is unknown",
            "write [[expect]] tables, and [unsteady] at most once",
        )
    runs, chance = _unsteady(content.get("unsteady"), path, lines)
    entries = content.get("expect", [])
    if not isinstance(entries, list):
        raise UserError(f"{path}:{lines.find(('expect',))}: [expect] is one table", "[[expect]]")
    found: dict[str, Expectation] = {}
    for number, entry in enumerate(entries):
        made = _entry(entry, number, path, lines)
        if made.name in found:
            raise UserError(
                f"{made.where}: {made.name!r} stands in {found[made.name].where} already",
                "keep one of the two",
            )
        found[made.name] = made
    return Expected(found, runs, chance)


def _unsteady(table: object, path: Path, lines: TomlLines) -> tuple[int, str]:
    if table is None:
        return 1, ""
    where = f"{path}:{lines.find(('unsteady',))}"
    if not isinstance(table, dict) or set(table) != set(_UNSTEADY_KEYS):
        raise UserError(
            f"{where}: [unsteady] has the keys {' and '.join(_UNSTEADY_KEYS)}", "give both"
        )
    runs, reason = table["runs"], table["reason"]
    if type(runs) is not int or runs not in (3, 5, 7):
        raise UserError(f"{where}: runs = {runs!r} has no majority", "choose 3, 5 or 7")
    if not isinstance(reason, str) or not reason.strip():
        raise UserError(f"{where}: reason is no text", 'write reason = "…"')
    return runs, reason


def _entry(entry: Mapping[str, object], number: int, path: Path, lines: TomlLines) -> Expectation:
    def at(key: str) -> str:
        return f"{path}:{lines.find(('expect', number, key))}"

    for key in entry:
        if key not in _KEYS:
            raise UserError(f"{at(key)}: {key!r} is unknown", f"known: {', '.join(_KEYS)}")
    for key in _KEYS:
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            raise UserError(f"{at(key)}: {key} is missing or no text", f'write {key} = "…"')
    name, status, reason = (str(entry[key]) for key in _KEYS)
    if status not in _STATUSES:
        raise UserError(
            f"{at('status')}: status {status!r} is unknown", f"known: {', '.join(_STATUSES)}"
        )
    return Expectation(name, _STATUSES[status], reason, at("name"))


def apply(cases: Iterable[Case], expected: Expected) -> tuple[Case, ...]:
    """The cases as they count, each known one with its reason as note.

    An entry that matches no case is added as a skip, so that outdated entries are noticed.
    """
    seen: set[str] = set()
    judged = tuple(_judge(case, case.name, expected.entries, seen) for case in cases)
    stale = (item for name, item in expected.entries.items() if name not in seen)
    return (
        *judged,
        *(Case(i.name, Status.SKIP, f"listed in {i.where}, did not run") for i in stale),
    )


def to_repeat(judged: Iterable[Case], expected: Expected) -> tuple[str, ...]:
    """The failed tests that may have failed by chance; none if the list has no [unsteady]."""
    failed = tuple(case.name for case in judged if case.status in _BAD)
    return failed if expected.runs > 1 and len(failed) <= _BY_CHANCE else ()


def settle(
    judged: Iterable[Case], more: Sequence[Iterable[Case]], expected: Expected
) -> tuple[Case, ...]:
    """For a repeated test, take the result of most runs; a pass mentions the others."""
    again: dict[str, list[Case]] = {}
    for cases in more:
        for case in apply(cases, Expected(expected.entries)):
            again.setdefault(case.name, []).append(case)
    return tuple(_settled(case, again.get(case.name, []), expected) for case in judged)


def _settled(case: Case, again: Sequence[Case], expected: Expected) -> Case:
    passed = [other for other in again if other.status is Status.PASS]
    if case.status not in _BAD or not again:
        return case
    runs = 1 + len(again)
    failed = f"failed {runs - len(passed)} of {runs} times"
    if 2 * len(passed) > runs:
        note = f"{failed}, as some do here ({expected.chance}): {case.note}"
        return replace(passed[0], note=note, comments=case.comments)
    return replace(case, note=f"{case.note}; {failed}".removeprefix("; "))


def _judge(case: Case, name: str, expected: Mapping[str, Expectation], seen: set[str]) -> Case:
    children = tuple(_judge(c, f"{name}/{c.name}", expected, seen) for c in case.children)
    wanted = expected.get(name)
    if wanted is not None:
        seen.add(name)
        if case.status is wanted.status:  # the entry also covers the subtests
            return _excused(replace(case, note=wanted.reason))
        return _surprising(replace(case, children=children), wanted)
    case = replace(case, children=children)
    if case.status is Status.FAIL and _only_known(children):
        return replace(case, status=Status.XFAIL, note=case.note or "known subtests fail")
    if case.status is Status.SKIP and not children:
        return replace(case, note=f"not expected to be skipped: {case.note}".rstrip(": "))
    return case


def _surprising(case: Case, wanted: Expectation) -> Case:
    text = f"expected to {wanted.status.value} ({wanted.reason})"
    if case.status is Status.PASS:
        return replace(case, status=Status.XPASS, note=f"{text}: remove {wanted.where}")
    return replace(case, note=f"{text}; {case.note}".rstrip("; "))


def _excused(case: Case) -> Case:
    """The case with all its failures expected: an entry also covers the subtests below it."""
    children = tuple(map(_excused, case.children))
    status = Status.XFAIL if case.status in (*_BAD, Status.ERROR) else case.status
    return replace(case, status=status, children=children)


def _only_known(children: Sequence[Case]) -> bool:
    """Whether there are failures below, all of them expected."""
    statuses = {leaf.status for child in children for leaf in child.leaves()}
    return Status.XFAIL in statuses and not statuses.intersection((*_BAD, Status.ERROR))
