# SPDX-License-Identifier: GPL-2.0-only
"""Running programs in a row: what the script does, and how its output is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm import process
from kvm.matrix import programs
from kvm.matrix.programs import Program
from kvm.verdict.ktap import Case, Status


def _run(tmp_path: Path, text: str, limit_s: int = 10) -> Case:
    program = Program("suite:it", ("sh", "-c", text), limit_s)
    script = programs.script((program,), folder=str(tmp_path))
    done = process.run(("sh", "-c", script), timeout_s=30)
    (case,) = programs.read(done.output.splitlines(), (program,))
    return case


def test_exit_codes_are_those_of_kselftest(tmp_path: Path) -> None:
    assert _run(tmp_path, "exit 0").status is Status.PASS
    assert _run(tmp_path, "exit 1").status is Status.FAIL
    assert _run(tmp_path, "exit 4").status is Status.SKIP


def test_a_skip_gives_its_reason(tmp_path: Path) -> None:
    case = _run(tmp_path, "echo '1..0 # SKIP - no VMX'; exit 4")
    assert (case.status, case.note) == (Status.SKIP, "no VMX")


def test_a_failure_quotes_its_assertion(tmp_path: Path) -> None:
    case = _run(
        tmp_path, "echo '==== Test Assertion Failure ===='; echo '  a.c:7: x == y'; exit 254"
    )
    assert (case.status, case.note) == (Status.FAIL, "a.c:7: x == y")
    assert "  a.c:7: x == y" in case.comments


def test_a_crash_names_its_signal(tmp_path: Path) -> None:
    assert _run(tmp_path, "kill -SEGV $$").note == "killed by SIGSEGV"


def test_a_program_is_stopped_at_its_limit(tmp_path: Path) -> None:
    assert _run(tmp_path, "echo begun; sleep 20", limit_s=1).status is Status.TIMEOUT


def test_a_kill_before_the_limit_is_no_timeout(tmp_path: Path) -> None:
    case = _run(tmp_path, "kill -KILL $$")
    assert (case.status, case.note) == (Status.FAIL, "killed by SIGKILL")


def test_ktap_becomes_subtests(tmp_path: Path) -> None:
    case = _run(tmp_path, "echo 'TAP version 13'; echo 1..1; echo 'ok 1 inner'")
    assert [child.name for child in case.children] == ["inner"]


def test_a_failed_subtest_counts_though_the_program_ends_with_0(tmp_path: Path) -> None:
    case = _run(tmp_path, "echo 1..1; echo 'not ok 1 inner'")
    assert case.status is Status.FAIL
    assert "inner failed" in case.note


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ("1..3; echo ok 1 a", "3 tests were planned, 1 reported"),
        ("1..5", "5 tests were planned, 0 reported"),
        ("1..1; echo ok 1 a; echo 'Bail out! no memory'", "bailed out: no memory"),
        ("1..2; echo ok 1 a; echo ok 3 c", "test 2 was due, number 3 was reported"),
    ],
)
def test_a_broken_promise_is_no_pass(tmp_path: Path, lines: str, note: str) -> None:
    case = _run(tmp_path, f"echo {lines}")
    assert case.status is Status.FAIL
    assert case.note == f"it ended with 0 although {note}"


@pytest.mark.parametrize("lines", ["1..0 # SKIP no VMX", "1..1; echo 'ok 1 a # SKIP no VMX'"])
def test_all_skipped_is_a_skip_whatever_the_exit_code(tmp_path: Path, lines: str) -> None:
    first, _, rest = lines.partition(";")
    case = _run(tmp_path, f"echo '{first}';{rest or ':'}")
    assert (case.status, case.note) == (Status.SKIP, "no VMX")


def test_output_without_a_last_newline_does_not_hide_the_end(tmp_path: Path) -> None:
    assert _run(tmp_path, "printf 'no newline'").status is Status.PASS


def test_a_program_that_did_not_run_or_end_is_an_error() -> None:
    ran, lost = Program("a", ("a",)), Program("b", ("b",))
    half, none = programs.read(["@@tools-kvm begin a", "words"], (ran, lost))
    assert (half.status, none.status) == (Status.ERROR, Status.ERROR)
    assert half.comments == ("words",)


def test_the_one_that_begins_is_named() -> None:
    assert programs.begun("@@tools-kvm begin x86:sigreturn_64\n") == "x86:sigreturn_64"
    assert programs.begun("anything else") is None
