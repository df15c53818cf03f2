# SPDX-License-Identifier: GPL-2.0-only
"""Selections: axes narrow a subset, and a selection of nothing is an error."""

from __future__ import annotations

import pytest

from kvm.errors import UserError
from kvm.matrix import plan as plans
from kvm.matrix.plan import Plan
from kvm.matrix.select import Selection, select
from kvm.project import Project


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The repository's own."""
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


def test_a_workload_of_the_user_s_has_its_own_cells(plan: Plan) -> None:
    cells = select(plan, Selection("ci", ("vcpus=1,2",), workload="true"))
    assert [cell.id for cell in cells] == ["lab-vcpus1-mmio-user", "lab-vcpus2-mmio-user"]
