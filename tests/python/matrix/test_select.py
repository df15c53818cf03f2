# SPDX-License-Identifier: GPL-2.0-only
"""Selections: axes narrow a subset, and an empty selection is an error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kvm import process
from kvm.commands import matrix as command
from kvm.commands.matrix import MatrixOptions
from kvm.errors import UsageError, UserError
from kvm.matrix import plan as plans
from kvm.matrix.plan import Plan
from kvm.matrix.select import Selection, select
from kvm.output.progress import Progress
from kvm.project import Project


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The repository's own plan."""
    from kvm.matrix import workloads

    path = Project.find().root / "tests" / "matrix.toml"
    return plans.load(path, (*workloads.known(), "user"))


def test_axes_narrow_a_subset(plan: Plan) -> None:
    every = select(plan, Selection("ci"))
    some = select(plan, Selection("ci", ("vcpus=2",)))
    assert 0 < len(some) < len(every)
    assert {cell.vcpus for cell in some} == {2}


def test_ids_are_unique(plan: Plan) -> None:
    ids = [cell.id for cell in select(plan, Selection("full"))]
    assert len(ids) == len(set(ids))


def test_ci_is_large_and_smoke_is_small(plan: Plan) -> None:
    ci, smoke = (select(plan, Selection(name)) for name in ("ci", "smoke"))
    assert len(ci) >= 60
    assert {cell.id for cell in smoke} <= {cell.id for cell in ci}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("vcpus=77", "vcpus has no value '77'"),
        ("colour=red", "no axis 'colour'"),
        ("vcpus", "--axis vcpus"),
    ],
)
def test_an_unknown_axis_or_value_is_named(plan: Plan, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        select(plan, Selection("ci", (word,)))


def test_an_empty_selection_is_an_error(plan: Plan) -> None:
    with pytest.raises(UserError, match="no cell of subset smoke"):
        select(plan, Selection("smoke", ("config=debug", "devices=norng")))


def test_a_users_workload_has_its_own_cells(plan: Plan) -> None:
    cells = select(plan, Selection("ci", ("vcpus=1,2",), workload="true"))
    assert [cell.id for cell in cells] == ["lab-vcpus1-mmio-user", "lab-vcpus2-mmio-user"]


def test_an_axis_that_is_given_twice_has_all_its_values(plan: Plan) -> None:
    once, twice = (
        {cell.id for cell in select(plan, Selection("ci", words))}
        for words in (("vcpus=1,2",), ("vcpus=1", "vcpus=2", "vcpus=1"))
    )
    assert once == twice
    cells = select(plan, Selection("ci", ("vcpus=2", "vcpus=2,1"), workload="true"))
    assert [cell.vcpus for cell in cells] == [2, 1]


EXPRESSIONS = (
    "boot",
    "BOOT and not pci",
    "not (vcpus1 or smp)",
    "vcpus2-mmio",
    "test_cell[lab-vcpus1-mmio-boot] or test_cell[lab-vcpus2-mmio-smp]",
    "[lab-vcpus1",
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_leaves_what_it_leaves_in_pytest(
    plan: Plan, tmp_path: Path, expression: str
) -> None:
    every = select(plan, Selection("ci"))
    ids = [cell.id for cell in every]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n@pytest.mark.parametrize('cell', {ids!r})\ndef test_cell(cell): pass\n"
    )
    argv = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    words = (*argv, "-k", expression, str(tmp_path))
    unset = {"PYTEST_ADDOPTS": ""}
    output = process.run(words, cwd=tmp_path, check=False, timeout_s=60, env=unset).output
    chosen = [line.partition("::test_cell[")[2][:-1] for line in output.splitlines()]
    ours = [cell.id for cell in select(plan, Selection("ci", expression=expression))]
    assert ours == [cell for cell in chosen if cell in ids]
    assert 0 < len(ours) < len(ids)


def test_a_whole_id_is_that_cell_alone(plan: Plan) -> None:
    every = [cell.id for cell in select(plan, Selection("full"))]
    short = next(a for a in every if any(b.startswith(a) and b != a for b in every))
    (cell,) = select(plan, Selection("full", expression=short))
    assert cell.id == short


@pytest.mark.parametrize("expression", ["boot and", "(boot", "boot(a=1)", "a $ b"])
def test_what_is_no_expression_is_told(plan: Plan, expression: str) -> None:
    with pytest.raises(UserError, match="-k"):
        select(plan, Selection("ci", expression=expression))


def test_an_expression_that_leaves_nothing_says_nothing_of_the_code() -> None:
    """A revision in a bisection may lack the cell: that is no verdict, and no usage error."""
    with pytest.raises(UserError, match="no cell has -k 'nothing-has-this'") as told:
        command.chosen_cells(Project.find(), Selection("ci", ("vcpus=2",), "nothing-has-this"))
    assert not isinstance(told.value, UsageError)


def test_nothing_is_built_for_cells_that_an_expression_leaves_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, part = (
        MatrixOptions(Selection("full", expression=word), dry_run=True, workers=1)
        for word in ("", "boot and not debug and not kunit")
    )
    with Progress(live=False) as progress:
        for options in (whole, part):
            command.run(Project.find(), progress, options)
    before, after = (line for line in capsys.readouterr().out.splitlines() if "builds" in line)
    assert "kunit" in before
    assert after == "builds: the VMM, and the kernel with config default"


def test_a_list_has_the_cells_of_the_expression(capsys: pytest.CaptureFixture[str]) -> None:
    options = MatrixOptions(Selection("full", expression="smp"), list_only=True)
    with Progress(live=False) as progress:
        command.run(Project.find(), progress, options)
    *lines, _ = capsys.readouterr().out.splitlines()
    assert lines
    assert all("smp" in line for line in lines)
