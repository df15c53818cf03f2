# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from kvm.verdict.ktap import Case, Report, Status, parse, status_of_exit_code, write
from kvm.verdict.vocabulary import Verdict


def _parse(text: str) -> Report:
    return parse(text.splitlines())


def test_flat_tap() -> None:
    report = _parse(
        "TAP version 13\n1..4\nok 1 - first\nnot ok 2 second\nok 3 third # SKIP no KVM\n"
        "not ok 4 fourth # TODO later\n"
    )
    assert [(c.name, c.status, c.note) for c in report.cases] == [
        ("first", Status.PASS, ""),
        ("second", Status.FAIL, ""),
        ("third", Status.SKIP, "no KVM"),
        ("fourth", Status.XFAIL, "later"),
    ]
    assert report.verdict is Verdict.FAIL
    assert report.problems == ()


def test_kunit_subtests_belong_to_the_result_after_them() -> None:
    report = _parse(
        "KTAP version 1\n1..2\n"
        "    KTAP version 1\n    # Subtest: list\n    1..2\n    ok 1 add\n"
        "    # del: EXPECTATION FAILED at lib/list.c:3\n    not ok 2 del\nnot ok 1 list\n"
        "    KTAP version 1\n    1..1\n    ok 1 only\nok 2 other\n"
    )
    first, second = report.cases
    assert [c.name for c in first.children] == ["add", "del"]
    assert first.children[1].comments == ("del: EXPECTATION FAILED at lib/list.c:3",)
    assert [c.name for c in second.children] == ["only"]
    assert [c.name for c in report.leaves()] == ["add", "del", "only"]


def test_three_levels_deep() -> None:
    report = _parse(
        "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n    KTAP version 1\n    1..1\n"
        "    not ok 1 case\n  not ok 1 group\nnot ok 1 suite\n"
    )
    assert report.cases[0].children[0].children[0].name == "case"


def test_kselftest_nesting_by_comment_marks() -> None:
    report = _parse(
        "TAP version 13\n1..2\n# selftests: kvm: a_test\n# TAP version 13\n# 1..2\n"
        "# ok 1 one\n# ok 2 two # SKIP no SVM\nok 1 selftests: kvm: a_test\n"
        "# timeout set to 120\nnot ok 2 selftests: kvm: b_test # TIMEOUT 120 seconds\n"
    )
    assert [c.status for c in report.cases[0].children] == [Status.PASS, Status.SKIP]
    assert report.cases[1].status is Status.TIMEOUT
    assert report.cases[1].comments == ("timeout set to 120",)
    assert report.verdict is Verdict.FAIL


def test_test_that_died_is_a_broken_plan() -> None:
    report = _parse("TAP version 13\n1..3\nok 1 a\n")
    assert report.problems == ("3 tests were planned, 1 reported",)
    assert report.verdict is Verdict.ERROR


def test_parent_that_never_reported_keeps_its_children() -> None:
    report = _parse("KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  not ok 1 a\n")
    assert [c.name for c in report.leaves()] == ["a"]
    assert report.verdict is Verdict.FAIL


def test_bail_out_is_a_problem() -> None:
    report = _parse("1..1\nok 1 a\nBail out! no /dev/kvm\n")
    assert report.problems == ("bailed out: no /dev/kvm",)
    assert report.verdict is Verdict.ERROR


def test_all_skipped_is_a_skip_and_nothing_is_no_pass() -> None:
    assert _parse("1..1\nok 1 a # SKIP\n").verdict is Verdict.SKIP
    assert _parse("hello\n").verdict is Verdict.ERROR


def test_child_failure_outweighs_a_parent_that_says_ok() -> None:
    assert _parse("  1..1\n  not ok 1 a\nok 1 suite\n").verdict is Verdict.FAIL


def test_ordinary_output_is_not_taken_for_results() -> None:
    report = _parse("okay then\nnot okay\nit is ok 1\n1..1\nok 1 real\n")
    assert [c.name for c in report.cases] == ["real"]
    assert report.cases[0].comments == ("okay then", "not okay", "it is ok 1")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (0, Status.PASS),
        (1, Status.FAIL),
        (2, Status.XFAIL),
        (3, Status.XPASS),
        (4, Status.SKIP),
        (124, Status.TIMEOUT),
        (139, Status.FAIL),
    ],
)
def test_kselftest_exit_codes(code: int, status: Status) -> None:
    assert status_of_exit_code(code) is status


def test_what_is_written_is_read_back() -> None:
    report = Report(
        (
            Case(
                "suite",
                Status.FAIL,
                children=(
                    Case("good", Status.PASS),
                    Case("bad #3", Status.FAIL, comments=("because",)),
                    Case("none", Status.SKIP, "no KVM"),
                    Case("late", Status.TIMEOUT, "45 s"),
                ),
            ),
            Case("known", Status.XFAIL, "TCG"),
        )
    )
    assert parse(write(report).splitlines()) == report


def test_written_form() -> None:
    report = Report((Case("s", Status.PASS, children=(Case("a", Status.SKIP, "why"),)),))
    assert write(report) == (
        "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a # SKIP why\nok 1 s\n"
    )


def test_a_run_skipped_as_a_whole_is_a_skip_with_its_reason() -> None:
    report = _parse("TAP version 13\n1..0 # SKIP - no KVM\n")
    assert (report.verdict, report.skipped) == (Verdict.SKIP, "no KVM")
    assert parse(write(report).splitlines()) == report


@pytest.mark.parametrize("note", ["error path taken", "timeout handled", "xfail", "Error: none"])
def test_words_after_a_good_result_are_no_directive(note: str) -> None:
    (case,) = _parse(f"1..1\nok 1 x # {note}\n").cases
    assert (case.status, case.note) == (Status.PASS, note)


def test_an_error_of_kselftest_h_is_an_error() -> None:
    (case,) = _parse("1..1\nnot ok 1 # error opening /dev/kvm\n").cases
    assert case.status is Status.ERROR


@pytest.mark.parametrize("numbers", [(1, 3), (2, 3), (1, 1), (2, 1)])
def test_numbers_out_of_order_are_a_problem(numbers: tuple[int, int]) -> None:
    first, second = numbers
    report = _parse(f"1..2\nok {first} a\nok {second} b\n")
    assert report.verdict is Verdict.ERROR
    assert "was due" in report.problems[0]
