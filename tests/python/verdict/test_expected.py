# SPDX-License-Identifier: GPL-2.0-only
"""Known failures count as known, and outdated entries of their lists are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.project import Project
from kvm.verdict import expected
from kvm.verdict.ktap import Case, Status

ENTRY = '[[expect]]\nname = "{}"\nstatus = "{}"\nreason = "because"\n'
UNSTEADY = '[unsteady]\nruns = 3\nreason = "chance"\n'


def _list(tmp_path: Path, *entries: tuple[str, str]) -> expected.Expected:
    path = tmp_path / "suite.toml"
    path.write_text("\n".join(ENTRY.format(*entry) for entry in entries))
    return expected.parse(path)


@pytest.mark.parametrize(
    ("listed", "found", "counts"),
    [
        ("fail", Status.FAIL, Status.XFAIL),
        ("timeout", Status.TIMEOUT, Status.XFAIL),
        ("skip", Status.SKIP, Status.SKIP),
        ("fail", Status.PASS, Status.XPASS),
        ("skip", Status.PASS, Status.XPASS),
        ("fail", Status.TIMEOUT, Status.TIMEOUT),
        ("skip", Status.FAIL, Status.FAIL),
        ("fail", Status.SKIP, Status.SKIP),
    ],
)
def test_a_listed_case_counts(tmp_path: Path, listed: str, found: Status, counts: Status) -> None:
    (case,) = expected.apply((Case("a", found),), _list(tmp_path, ("a", listed)))
    assert case.status is counts
    assert "because" in case.note


def test_unlisted_failures_stay_and_unlisted_skips_say_so(tmp_path: Path) -> None:
    cases = (Case("a", Status.FAIL, "why"), Case("b", Status.SKIP, "no PMU"))
    failed, skipped = expected.apply(cases, _list(tmp_path))
    assert failed == cases[0]
    assert skipped.note == "not expected to be skipped: no PMU"


def test_an_entry_covers_the_subtests_below_it(tmp_path: Path) -> None:
    case = Case("a", Status.FAIL, children=(Case("b", Status.FAIL), Case("c", Status.PASS)))
    (judged,) = expected.apply((case,), _list(tmp_path, ("a", "fail")))
    assert [leaf.status for leaf in judged.leaves()] == [Status.XFAIL, Status.PASS]


def test_a_parent_fails_for_known_subtests_only_when_all_are_known(tmp_path: Path) -> None:
    known = _list(tmp_path, ("a/b", "fail"))
    one = Case("a", Status.FAIL, children=(Case("b", Status.FAIL), Case("c", Status.PASS)))
    two = Case("a", Status.FAIL, children=(Case("b", Status.FAIL), Case("c", Status.FAIL)))
    assert expected.apply((one,), known)[0].status is Status.XFAIL
    assert expected.apply((two,), known)[0].status is Status.FAIL


def test_an_entry_without_a_case_is_reported_with_its_line(tmp_path: Path) -> None:
    _, stale = expected.apply((Case("a", Status.PASS),), _list(tmp_path, ("gone", "fail")))
    assert (stale.name, stale.status) == ("gone", Status.SKIP)
    assert "suite.toml:2" in stale.note


def _unsteady(tmp_path: Path) -> expected.Expected:
    path = tmp_path / "suite.toml"
    path.write_text(UNSTEADY)
    return expected.parse(path)


def test_only_a_few_failures_of_an_unsteady_suite_are_repeated(tmp_path: Path) -> None:
    cases = [Case("a", Status.FAIL), Case("b", Status.PASS), Case("c", Status.TIMEOUT)]
    known = _unsteady(tmp_path)
    assert expected.to_repeat(cases, known) == ("a", "c")
    assert expected.to_repeat(cases, _list(tmp_path)) == ()
    assert expected.to_repeat([Case(f"{n}", Status.FAIL) for n in range(9)], known) == ()


@pytest.mark.parametrize(
    ("again", "counts", "words"),
    [
        ((Status.PASS, Status.PASS), Status.PASS, "failed 1 of 3 times, as some do here (chance)"),
        ((Status.PASS, Status.FAIL), Status.FAIL, "too slow; failed 2 of 3 times"),
        ((Status.FAIL, Status.FAIL), Status.FAIL, "too slow; failed 3 of 3 times"),
    ],
)
def test_most_runs_of_a_repeated_test_count(
    tmp_path: Path, again: tuple[Status, ...], counts: Status, words: str
) -> None:
    first = (Case("a", Status.FAIL, "too slow", ("tail",)), Case("b", Status.PASS))
    more = [(Case("a", status),) for status in again]
    settled, other = expected.settle(first, more, _unsteady(tmp_path))
    assert (settled.status, settled.comments) == (counts, ("tail",))
    assert words in settled.note
    assert other == first[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENTRY.format("a", "broken"), "suite.toml:3: status 'broken'"),
        (ENTRY.format("a", "fail") * 2, "suite.toml:6: 'a' stands in"),
        ('[[expect]]\nname = "a"\nstatus = "fail"\n', "reason is missing"),
        (ENTRY.format("a", "fail") + "colour = 1\n", "suite.toml:5: 'colour' is unknown"),
        ("[expect]\n", "suite.toml:1"),
        ("[[known]]\n", "suite.toml:1: 'known' is unknown"),
        ("name = \n", "suite.toml"),
        ("[unsteady]\nruns = 3\n", "suite.toml:1: [unsteady] has the keys runs and reason"),
        (UNSTEADY.replace("3", "2"), "runs = 2 has no majority"),
        (UNSTEADY.replace("3", "true"), "runs = True has no majority"),
        (UNSTEADY.replace("chance", " "), "suite.toml:1: reason is no text"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"suite\.toml") as mistake:
        expected.parse(path)
    assert words in str(mistake.value)


@pytest.mark.parametrize("suite", ["kvm_selftests", "kselftests", "kunit"])
def test_the_lists_of_this_checkout_are_sound(suite: str) -> None:
    assert expected.load(Project.find(), suite).entries
