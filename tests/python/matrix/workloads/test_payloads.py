# SPDX-License-Identifier: GPL-2.0-only
"""A folder of payloads as a workload: the meaning of its words, and its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kvm.errors import InfrastructureError, UserError
from kvm.matrix import workloads
from kvm.matrix.cell import Cell
from kvm.matrix.select import USER_WORKLOAD
from kvm.matrix.workload import Bench, CellSkipped
from kvm.matrix.workloads.payloads import payloads_workload
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.record import RunRecord
from kvm.verdict.ktap import Case, Status
from kvm.verdict.payload import exit_code_of, outcome_of
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

_LOST = Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, "lost the lab host: it died")


@dataclass
class FakeBench:
    """Ends payloads by test with the ``statuses``: a debug-exit status, or -1 for lost."""

    statuses: Mapping[str, int] = field(default_factory=dict)
    cell: Cell = field(default_factory=lambda: Cell(memory_mib=512))
    project: Project = field(default_factory=Project.find)
    ran: dict[str, PayloadOptions] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def payload(self, options: PayloadOptions, name: str) -> RunRecord:
        self.ran[name] = options
        status = self.statuses.get(name.partition(".")[0], 1)
        outcome = outcome_of(name, status) if status >= 0 else _LOST
        return RunRecord(outcome=outcome, host="lab", exit_code=exit_code_of(outcome))

    def host_files(self, paths: Sequence[Path]) -> Mapping[Path, str]:
        return {}

    def say(self, text: str) -> None: ...

    def add(self, cases: Sequence[Case]) -> None:
        self.cases += cases


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "x.flat").write_bytes(b"\xf4")
    sections = ("[a]\nfile = x.flat\nsmp = 2\n", "[b]\nfile = x.flat\ngroups = g\n")
    (tmp_path / "unittests.cfg").write_text("".join(sections))
    return tmp_path


@pytest.fixture
def run(suite: Path) -> Callable[..., FakeBench]:
    """``run("k=a", a=3)``: the workload with these words, whose test a ends with status 3."""

    def go(*words: str, **statuses: int) -> FakeBench:
        bench = FakeBench(statuses)
        text = " ".join((f"payloads:{suite}", *words))
        payloads_workload(text).run(cast(Bench, cast(Any, bench)))
        return bench

    return go


def test_every_test_is_a_check_of_the_cell(run: Callable[..., FakeBench]) -> None:
    bench = run(b=3)
    assert [(case.name, case.status) for case in bench.cases] == [
        ("a", Status.PASS),
        ("b", Status.FAIL),
    ]
    assert bench.ran["a"].vcpus == 2
    assert {options.memory_mib for options in bench.ran.values()} == {512}
    assert {options.host for options in bench.ran.values()} == {"lab"}


def test_tests_are_chosen_as_by_the_command(run: Callable[..., FakeBench]) -> None:
    assert list(run("k=a").ran) == ["a"]
    assert list(run("g=g").ran) == ["b"]


def test_known_failures_are_the_matrix_kind(run: Callable[..., FakeBench], suite: Path) -> None:
    known = suite / "known.toml"
    known.write_text('[[expect]]\nname = "b"\nstatus = "fail"\nreason = "because"\n')
    bench = run(f"expected={known}", b=3)
    assert [case.status for case in bench.cases] == [Status.PASS, Status.XFAIL]


def test_a_lost_lab_host_is_an_error_of_the_cell_unless_something_failed(
    run: Callable[..., FakeBench],
) -> None:
    with pytest.raises(InfrastructureError, match="b: lost the lab host"):
        run(b=-1)
    assert [case.status for case in run(a=3, b=-1).cases] == [Status.FAIL, Status.ERROR]


def test_a_suite_that_skips_everything_is_a_skip(run: Callable[..., FakeBench]) -> None:
    with pytest.raises(CellSkipped, match="every test was skipped"):
        run(a=77, b=77)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("payloads:", "names no folder"),
        ("payloads:/nonexistent/suite", "/nonexistent/suite does not exist"),
        ("payloads:. words", "'words' is unknown"),
        ("payloads:. cpus=2", "'cpus=2' is unknown"),
        ("payloads:'open", "names no folder"),
    ],
)
def test_bad_words_are_refused_before_anything_is_built(text: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        workloads.find(USER_WORKLOAD, text)
    assert says in refused.value.message
    assert refused.value.hint
