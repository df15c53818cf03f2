# SPDX-License-Identifier: GPL-2.0-only
"""The planted history's traps are where searches step, and hide none of its commits.

Git searches a history of the same shape, with a tester that knows all answers. Its choice after a
skip depends on the commits' ids, so several histories with other ids are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kvm.bisect.model import Mark
from kvm.bisect.planted_history import Plan, load_plan
from kvm.bisect.search import Search, Terms
from kvm.bisect.workplace import KERNEL_PATHS
from kvm.kernel.git import Repository
from kvm.project import Project
from kvm.vm.build import SOURCES

PLAN: Plan = load_plan(Project.find().root / "tests" / "bisect" / "planted" / "history.toml")
CASES = {case["name"]: case for case in PLAN.cases}
# Their commits can't be judged with any cell; other traps spoil only their own cell.
FOR_ALL = ("unbuildable", "unbootable")
SEEDS = range(3)


@dataclass(frozen=True)
class Shape:
    """A repository in which each commit touches the same halves as the planted one."""

    repository: Repository
    start: str
    positions: Mapping[str, int]

    def search(self, case: Mapping[str, Any]) -> tuple[list[int], int]:
        """The positions that were tried, and the one that was found (0: none)."""
        search, looked = Search(self.repository, Terms()), []
        tip = list(self.positions)[-1]
        place = search.start(self.start, tip, paths=(*KERNEL_PATHS, *SOURCES))
        while not place.over:
            looked.append(self.positions[place.commit])
            place = search.mark(place.commit, _mark(case, looked[-1]))
        return looked, self.positions.get(place.first_bad, 0)


def _mark(case: Mapping[str, Any], at: int) -> Mark:
    if any(at in _trap(CASES[name]) for name in {*FOR_ALL, case["name"]}):
        return Mark.SKIP
    return Mark.BAD if at >= case["at"] else Mark.GOOD


def _trap(case: Mapping[str, Any]) -> range:
    first, last = case.get("trap", (0, -1))
    return range(first, last + 1)


def _touched(item: Mapping[str, Any]) -> list[str]:
    names = {"kernel": KERNEL_PATHS[0], "vmm": SOURCES[0]}
    return [path for half, path in names.items() if any(key.startswith(half) for key in item)]


@pytest.fixture(params=SEEDS, scope="module")
def shape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shape:
    here = Repository(tmp_path_factory.mktemp("shape"))
    here.call("init", "--quiet", "--initial-branch=planted")
    stream = [_imported(0, request.param, ["docs"])]
    stream += [
        _imported(at, request.param, _touched(item) or ["docs"])
        for at, item in enumerate(PLAN.items, 1)
    ]
    here.run("fast-import", "--quiet", stdin="".join(stream).encode())
    start, *ids = here.call("rev-list", "--reverse", "planted").split()
    return Shape(here, start, {commit: at for at, commit in enumerate(ids, 1)})


def _imported(at: int, seed: int, paths: list[str]) -> str:
    """A commit for ``git fast-import``."""
    words, text = f"{at} of {seed}", str(at)
    files = "".join(f"M 644 inline {path}/file\ndata {len(text)}\n{text}\n" for path in paths)
    who = f"committer tools-kvm <tools-kvm@localhost> {1000000000 + at} +0000"
    return f"commit refs/heads/planted\n{who}\ndata {len(words)}\n{words}\n{files}\n"


@pytest.mark.parametrize("name", CASES)
def test_a_search_finds_the_case_and_meets_its_trap(shape: Shape, name: str) -> None:
    looked, found = shape.search(CASES[name])
    assert found == CASES[name]["at"], looked
    trap = _trap(CASES[name])
    assert not trap or set(looked) & set(trap), f"looked at {looked}, never into {trap}"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "trap" in case])
def test_a_trap_is_over_well_before_its_case_begins(name: str) -> None:
    trap = _trap(CASES[name])
    assert not any(case["at"] in (*trap, trap.stop) for case in PLAN.cases)
    assert trap.stop < CASES[name]["at"] - 1
    begun, fixed = PLAN.items[trap.start - 1], PLAN.items[trap.stop - 1]
    undone = {key.removesuffix("_reverse"): fixed[key] for key in fixed if "_reverse" in key}
    assert undone and all(begun[half] == patches for half, patches in undone.items())


def test_the_history_is_a_mix_of_both_halves_both_at_once_and_docs() -> None:
    touched = [tuple(_touched(item)) for item in PLAN.items]
    assert len(touched) == 64
    assert min(touched.count(halves) for halves in set(touched)) >= 5
    assert len(set(touched)) == 4
