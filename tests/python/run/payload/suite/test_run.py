# SPDX-License-Identifier: GPL-2.0-only
"""A suite's tests run one after another, whatever the result of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kvm.errors import UserError
from kvm.host.base import HostPanic
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite import run as running
from kvm.run.payload.suite.plan import Plan
from kvm.run.payload.suite.run import Done
from kvm.run.record import RunRecord
from kvm.verdict import expected
from kvm.verdict.expected import Expected
from kvm.verdict.ktap import Status
from kvm.verdict.vocabulary import Outcome

from .conftest import CTRL_C, FAIL, LATE, LOST, PASS, SKIP, ScriptedBench

MakePlan = Callable[..., Plan]


def _run(plan: Plan, bench: ScriptedBench, known: Expected | None = None) -> Done:
    return running.run(plan, bench, known, lambda number, test: None, lambda result: None)


def _statuses(done: Done) -> dict[str, Status]:
    return {result.case.name: result.case.status for result in done.results}


def _expected(tmp_path: Path, text: str) -> Expected:
    path = tmp_path / "expected.toml"
    path.write_text(text)
    return expected.parse(path)


def _entry(name: str, status: str) -> str:
    return f'[[expect]]\nname = "{name}"\nstatus = "{status}"\nreason = "because"\n'


def _ends(**outcomes: Outcome) -> dict[str, tuple[Outcome]]:
    return {name: (outcome,) for name, outcome in outcomes.items()}


def test_a_tests_end_does_not_stop_the_rest(plan: MakePlan) -> None:
    bench = ScriptedBench(_ends(a=FAIL, b=LATE, c=SKIP))
    done = _run(plan("a", "b", "c", "d"), bench)
    assert _statuses(done) == {
        "a": Status.FAIL,
        "b": Status.TIMEOUT,
        "c": Status.SKIP,
        "d": Status.PASS,
    }
    assert bench.ran == ["a", "b", "c", "d"]
    assert not done.interrupted


def test_what_is_skipped_never_runs_and_says_why(plan: MakePlan) -> None:
    bench = ScriptedBench({})
    done = _run(plan("a", "b", skip={"a": "no word for -device edu"}), bench)
    assert (done.results[0].case.status, done.results[0].case.note) == (
        Status.SKIP,
        "no word for -device edu",
    )
    assert bench.ran == ["b"]


def test_a_lost_lab_host_is_no_verdict_on_the_test(plan: MakePlan) -> None:
    bench = ScriptedBench({"a": (LOST, LOST, FAIL), "b": (LOST,)})
    done = _run(plan("a", "b"), bench)
    assert _statuses(done) == {"a": Status.FAIL, "b": Status.ERROR}
    assert bench.ran == ["a", "a.2", "a.3", "b", "b.2", "b.3"]


def test_what_is_wrong_with_one_tests_files_leaves_the_rest(plan: MakePlan) -> None:
    class Bench(ScriptedBench):
        def payload(self, options: PayloadOptions, name: str) -> RunRecord:
            if name == "a":
                raise UserError("payload a.flat is a directory")
            if name == "b":
                raise PermissionError(13, "Permission denied", "b.env")
            return ScriptedBench.payload(self, options, name)

    done = _run(plan("a", "b", "c"), Bench({}))
    assert _statuses(done) == {"a": Status.ERROR, "b": Status.ERROR, "c": Status.PASS}
    assert done.results[0].case.note == "payload a.flat is a directory"


def test_a_host_that_does_not_come_up_is_each_tests_to_tell(plan: MakePlan) -> None:
    class Bench(ScriptedBench):
        def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
            raise HostPanic("the lab host's kernel panicked")

    bench = Bench(_ends(a=FAIL))
    assert _statuses(_run(plan("a"), bench)) == {"a": Status.FAIL}


def test_ctrl_c_ends_the_suite_with_what_was_found(plan: MakePlan) -> None:
    bench = ScriptedBench(_ends(b=CTRL_C))
    done = _run(plan("a", "b", "c"), bench)
    assert done.interrupted
    assert _statuses(done) == {"a": Status.PASS}
    assert bench.ran == ["a", "b"]


def test_a_condition_on_the_host_is_read_there(plan: MakePlan) -> None:
    there, gone = Path("/sys/there"), Path("/sys/gone")
    checks = {
        "met": ((there, "Y"),),
        "other": ((there, "N"),),
        "missing": ((there, "Y"), (gone, "1")),
    }
    bench = ScriptedBench({}, files={there: "Y"})
    done = _run(plan("met", "other", "missing", checks=checks), bench)
    assert bench.ran == ["met"]
    notes = [result.case.note for result in done.results[1:]]
    assert notes == [
        "needs /sys/there to be 'N' where KVM runs; it is 'Y'",
        "needs /sys/gone to be '1' where KVM runs; it is not there",
    ]


def test_the_checks_that_a_payload_printed_are_below_its_result(plan: MakePlan) -> None:
    said = (
        "starting\nPASS: one\r\nFAIL: two: x\nSKIP: three\nXFAIL: four\nKFAIL: five\nXPASS: six\n"
    )
    bench = ScriptedBench(_ends(a=FAIL), said=said)
    (result,) = _run(plan("a"), bench).results
    assert [(case.name, case.status) for case in result.case.children] == [
        ("one", Status.PASS),
        ("two: x", Status.FAIL),
        ("three", Status.SKIP),
        ("four", Status.XFAIL),
        ("five", Status.XFAIL),
        ("six", Status.FAIL),
    ]
    assert result.case.note.endswith("2 checks failed, first: two: x")


def test_what_is_expected_counts_as_in_the_matrix(plan: MakePlan, tmp_path: Path) -> None:
    text = "".join(_entry(*words) for words in (("a", "fail"), ("b", "timeout"), ("c", "fail")))
    text += _entry("d", "error") + _entry("unchosen", "fail") + _entry("nobody", "fail")
    bench = ScriptedBench(_ends(a=FAIL, b=LATE, d=LOST))
    done = _run(plan("a", "b", "c", "d"), bench, _expected(tmp_path, text))
    assert _statuses(done) == {
        "a": Status.XFAIL,
        "b": Status.XFAIL,
        "c": Status.XPASS,
        "d": Status.XFAIL,
    }
    assert [case.name for case in done.stale] == ["nobody"]


def test_what_may_fail_by_chance_runs_again_and_most_runs_count(
    plan: MakePlan, tmp_path: Path
) -> None:
    known = _expected(tmp_path, '[unsteady]\nruns = 3\nreason = "chance"\n')
    bench = ScriptedBench({"a": (FAIL, PASS, PASS), "b": (FAIL,), "c": (PASS,)})
    done = _run(plan("a", "b", "c"), bench, known)
    assert _statuses(done) == {"a": Status.PASS, "b": Status.FAIL, "c": Status.PASS}
    assert "failed 1 of 3 times" in done.results[0].case.note
    assert "failed 3 of 3 times" in done.results[1].case.note
    assert sorted(bench.ran) == ["a", "a.again1", "a.again2", "b", "b.again1", "b.again2", "c"]


def test_the_list_of_known_failures_is_named_or_lies_beside_the_cfg(
    plan: MakePlan, tmp_path: Path
) -> None:
    project = Project.find()
    made = plan("a")
    assert running.known_failures(project, made, "") is None
    made.cfg.parent.mkdir()
    beside = made.cfg.with_name("expected.toml")
    beside.write_text(_entry("a", "fail"))
    by_itself = running.known_failures(project, made, "")
    assert by_itself is not None and set(by_itself.entries) == {"a"}
    assert running.known_failures(project, made, str(beside)) == by_itself
    named = running.known_failures(project, made, "kvm_selftests")
    assert named is not None and "debug_regs" in named.entries
