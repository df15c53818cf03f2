# SPDX-License-Identifier: GPL-2.0-only
"""Shards: each cell is in one, and they are about as long; recorded durations decide."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix import durations, plan, workloads
from kvm.matrix.cell import Cell
from kvm.matrix.durations import Durations
from kvm.matrix.shard import Shard
from kvm.project import Project
from kvm.verdict.vocabulary import Verdict
from support.matrix_run import passed

CELLS = tuple(
    Cell(vcpus=vcpus, workload=workload)
    for vcpus in (1, 2, 4)
    for workload in ("boot", "rng", "net")
)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_each_cell_is_in_one_shard(count: int) -> None:
    source = random.Random(count)
    costs = {cell.id: source.random() for cell in CELLS}
    shares = [
        Shard(n, count).share(CELLS, lambda cell: costs[cell.id]) for n in range(1, count + 1)
    ]
    assert sorted(cell.id for share in shares for cell in share) == sorted(costs)
    # In the order of the plan, and the same whatever order that is.
    again = Shard(1, count).share(CELLS[::-1], lambda cell: costs[cell.id])
    assert again == shares[0][::-1]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_the_longest_shard_of_ci_is_about_as_long_as_the_mean(count: int) -> None:
    project = Project.find()
    cells = plan.load(project.root / "tests" / "matrix.toml", tuple(workloads.known())).cells("ci")
    cost = Durations.read(project).of
    loads = [sum(map(cost, Shard(n, count).share(cells, cost))) for n in range(1, count + 1)]
    # A cell is in one shard, however long it takes.
    assert max(loads) <= max(1.15 * sum(loads) / count, *map(cost, cells))


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "1/99999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        Shard.parse(text)


def test_a_cell_that_was_not_recorded_takes_as_long_as_others_of_its_workload() -> None:
    known = Durations({"lab-vcpus1-mmio-boot": 2.0, "lab-vcpus4-mmio-boot": 4.0, "x-rng": 60.0})
    assert known.of(Cell(workload="boot", vcpus=4)) == 4.0
    assert known.of(Cell(workload="boot", vcpus=2)) == 3.0
    assert known.of(Cell(workload="rng", vcpus=2)) == 60.0
    assert known.of(Cell(workload="net")) == 4.0  # the median of all
    assert Durations({}).of(Cell()) == Durations({}).of(Cell(workload="rng"))


def test_a_run_is_recorded_but_for_what_failed(tmp_path: Path) -> None:
    results = (
        passed("b", seconds=2.04),
        passed("a", seconds=1.0),
        passed("c", verdict=Verdict.FAIL),
    )
    assert json.loads(durations.record(results)) == {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize("text", ["", "[]", '{"a": "long"}', '{"a": -1}', '{"a": NaN}'])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path, text: str) -> None:
    project = Project(tmp_path)
    path = durations.file(project)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match="does not say how long") as refused:
        Durations.read(project)
    assert f"--output durations:{path}" in refused.value.hint
