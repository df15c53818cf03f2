# SPDX-License-Identifier: GPL-2.0-only
"""The shards of a run, joined, are that run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.results.merge import merge, read
from kvm.results.model import Attempt, CellResult, MatrixRun
from kvm.results.store import Store
from kvm.verdict.vocabulary import Reason, Verdict
from support.matrix_run import STARTED, passed

IDS = ("lab-b", "lab-a", "lab-d", "lab-c", "lab-e")  # in the order of the plan
Make = Callable[..., Path]


def failed(cell: str, run_dir: str) -> CellResult:
    attempts = (Attempt(Verdict.FAIL, Reason.HANG, "it hung", "hang", 9.0, run_dir),)
    return passed(
        cell, verdict=Verdict.FAIL, reason=Reason.HANG, attempts=attempts, run_dir=run_dir
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the ``build`` folder of a machine that ran a shard."""

    def made(shard: str, cells: tuple[str, ...], done: int | None = None, **more: Any) -> Path:
        build = tmp_path / f"{shard.replace('/', '-')}-{len(list(tmp_path.iterdir()))}" / "build"
        with Store.open(build / "results.sqlite3") as store:
            store.begin(MatrixRun(number=0, started=1.0, planned=("another",)))  # not the newest
            facts = {"commit": "c1", "vmm_id": "v1", "subset": "ci", "kernels": {"default": "k1"}}
            number = store.begin(
                MatrixRun(
                    number=0,
                    started=STARTED + len(shard),
                    planned=cells,
                    shard=shard,
                    **{**facts, **more},
                )
            )
            for cell in cells[:done]:
                folder = build / "matrix" / str(number) / cell / "1"
                folder.mkdir(parents=True)
                (folder / "console.log").write_text(f"console of {cell}")
                place = f"build/matrix/{number}/{cell}/1"
                store.add(number, failed(cell, place) if cell == "lab-d" else passed(cell))
            store.end(number, STARTED + 100 + len(cells), interrupted=done is not None)
        return build

    return made


def shards(make: Make) -> list[Path]:
    return [make("1/2", IDS[1:3]), make("2/2", (IDS[4], IDS[0], IDS[3]))]


def test_the_joined_run_has_all_cells_in_the_order_of_the_plan(make: Make, tmp_path: Path) -> None:
    parts = shards(make)
    build = tmp_path / "here" / "build"
    with Store.open(build / "results.sqlite3") as store:
        number = merge(store, build, read([parts[1], parts[0] / "results.sqlite3"]), order=IDS)
        run, cells = store.run(number), store.cells(number)
    assert run is not None
    assert run.planned == tuple(cells) == IDS
    assert (run.shard, run.subset, run.commit, run.vmm_id) == ("", "ci", "c1", "v1")
    assert (run.kernels, run.interrupted, run.ended) == ({"default": "k1"}, False, STARTED + 103)
    folder = f"build/matrix/{number}/lab-d/1"
    assert cells["lab-d"].run_dir == cells["lab-d"].attempts[0].run_dir == folder
    assert (build.parent / folder / "console.log").read_text() == "console of lab-d"
    plain = replace(cells["lab-a"], run_dir="")
    assert plain == passed("lab-a")


def test_a_database_alone_will_do(make: Make, tmp_path: Path) -> None:
    alone = []
    for number, build in enumerate(shards(make)):
        alone.append(tmp_path / f"{number}.sqlite3")
        (build / "results.sqlite3").rename(alone[-1])
    build = tmp_path / "here" / "build"
    with Store.open(build / "results.sqlite3") as store:
        assert set(store.cells(merge(store, build, read(alone)))) == set(IDS)
    assert not (build / "matrix").exists()


def test_a_cell_that_was_not_reached_is_none_in_the_joined_run(make: Make, tmp_path: Path) -> None:
    parts = [make("1/2", IDS[1:3]), make("2/2", (IDS[4], IDS[0], IDS[3]), done=1)]
    build = tmp_path / "here" / "build"
    with Store.open(build / "results.sqlite3") as store:
        number = merge(store, build, read(parts), order=IDS)
        run = store.run(number)
        assert run is not None and run.interrupted
        assert set(run.planned) - set(store.cells(number)) == {IDS[0], IDS[3]}


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ((), "these are not all shards of one run: 1/3 in "),
        ((("2/3", {}),), "not all shards"),
        ((("2/3", {}), ("2/3", {})), "not all shards"),
        ((("2/3", {}), ("3/4", {})), "not all shards"),
        ((("2/3", {}), ("3/3", {"commit": "c2"})), "its commit is c2, and c1 in "),
        ((("2/3", {"vmm_id": "v2"}),), "its vmm_id is v2, and v1 in "),
        ((("2/3", {"subset": "smoke"}),), "its subset is smoke"),
        ((("2/3", {"kernels": {"default": "k2"}}),), "another kernel with config default"),
        ((("", {}),), "its newest run is no shard"),
    ],
)
def test_what_is_not_one_run_is_refused_in_words(
    make: Make, tmp_path: Path, others: tuple[tuple[str, dict[str, Any]], ...], named: str
) -> None:
    parts = [make("1/3", IDS[:1])]
    parts += [make(shard, (f"lab-{at}",), **more) for at, (shard, more) in enumerate(others)]
    with pytest.raises(UserError, match=named):
        read(parts)


def test_a_file_that_is_none_is_named(make: Make, tmp_path: Path) -> None:
    other = tmp_path / "page.html"
    other.write_text("<html>" * 100)
    with pytest.raises(UserError, match=f"--merge {tmp_path}/gone: No such file"):
        read([tmp_path / "gone"])
    with pytest.raises(UserError, match="damaged or not a database"):
        read([other])
