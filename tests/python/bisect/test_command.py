# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke bisect`` with a command, on histories whose right answer is obvious."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from support.checkout import git
from support.history import KERNEL, VMM, Bisect, History

_KERNEL_BROKEN = f"! grep -q bug {KERNEL}"
_VMM_BROKEN = f"! grep -q bug {VMM}"


def fill(history: History, count: int, start: int = 0, **rest: str) -> list[str]:
    """Add harmless commits to both halves and the docs in turn; ``rest`` is kept in their files."""
    kinds = ("kernel", "vmm", "docs")
    return [
        history.commit(f"filler {n}", **{(kind := kinds[n % 3]): f"{rest.get(kind, '')}{n}\n"})
        for n in range(start, start + count)
    ]


def test_names_the_commit_and_the_kernel(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 9)
    culprit = history.commit("kernel: break it", kernel="bug\n", docs="and say so\n")
    fill(history, 9, kernel="bug ")
    before = history.state()
    report = bisect(_KERNEL_BROKEN, good=good)
    assert report["status"] == "found" and report["code"] == 0
    assert report["first_bad"]["id"] == culprit
    assert report["first_bad"]["fixes"] == f'Fixes: {culprit[:12]} ("kernel: break it")'
    assert report["blame"]["label"] == "kernel"
    assert history.state() == before
    assert len(report["steps"]) <= 5


def test_names_the_vmm(history: History, bisect: Bisect) -> None:
    good = history.head
    culprit = history.commit("both: break the VMM", kernel="harmless\n", vmm="bug\n")
    fill(history, 5, vmm="bug ")
    report = bisect(_VMM_BROKEN, good=good)
    assert report["first_bad"]["id"] == culprit
    assert report["blame"]["label"] == "vmm"
    assert len(report["blame"]["table"]) == 4


def test_names_an_interaction(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 4)
    culprit = history.commit("both: new ABI", kernel="new\n", vmm="new\n")
    fill(history, 4, kernel="new ", vmm="new ")
    report = bisect(f"! (grep -q new {KERNEL} && grep -q new {VMM})", good=good)
    assert report["first_bad"]["id"] == culprit
    assert report["blame"]["label"] == "interaction"


def test_says_when_either_half_suffices(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 2)
    culprit = history.commit("both: break both", kernel="bug\n", vmm="bug\n")
    report = bisect(f"! grep -q bug {KERNEL} {VMM}", good=good)
    assert (report["first_bad"]["id"], report["blame"]["label"]) == (culprit, "either")


def test_another_failure_on_the_way_is_no_bad_commit(history: History, bisect: Bisect) -> None:
    """Exit code 125 always differs; a test's message, as its signature, would differ too."""
    good = history.head
    fill(history, 3)
    history.commit("does not build", vmm="unbuildable\n")
    fill(history, 1, 3)
    history.commit("builds again", vmm="5\n")
    fill(history, 3, 6)
    culprit = history.commit("break it", kernel="bug\n")
    fill(history, 3, 9, kernel="bug ")
    script = f"grep -q unbuildable {VMM} && exit 125; {_KERNEL_BROKEN}"
    report = bisect(script, good=good)
    assert report["first_bad"]["id"] == culprit


def test_only_skipped_commits_left_is_a_range(history: History, bisect: Bisect) -> None:
    good = history.head
    stuck = [history.commit(f"no build {n}", vmm=f"unbuildable {n}\n") for n in range(2)]
    culprit = history.commit("builds, broken", vmm="bug\n")
    report = bisect(f"grep -q unbuildable {VMM} && exit 125; {_VMM_BROKEN}", good=good)
    assert report["status"] == "range" and report["code"] == 125
    assert [commit["id"] for commit in report["candidates"]] == [*stuck, culprit]
    assert report["blame"]["label"] == "vmm"


def test_a_flaky_failure_is_run_until_it_is_clear(
    history: History, bisect: Bisect, tmp_path: Path
) -> None:
    good = history.head
    fill(history, 3)
    culprit = history.commit("fails every fifth time", vmm="flaky\n")
    fill(history, 4, 3, vmm="flaky ")
    counter = tmp_path / "count"
    script = (
        f"n=$(cat {counter} 2>/dev/null || echo 0); echo $((n + 1)) >{counter}; "
        f"! (grep -q flaky {VMM} && [ $((n % 5)) = 3 ])"
    )
    report = bisect(script, good=good)
    assert report["first_bad"]["id"] == culprit
    assert 0.1 < report["failure"]["rate"] < 0.4
    assert report["confidence"] == 0.99
    assert max(step["good_runs"] for step in report["steps"]) > 20


def test_finds_what_fixed_it(history: History, bisect: Bisect) -> None:
    broken = history.commit("break it", kernel="bug\n")
    fill(history, 4, kernel="bug ")
    fix = history.commit("fix it", kernel="fine\n")
    history.commit("go on", docs="on\n")
    report = bisect(_KERNEL_BROKEN, good=broken, fix=True)
    assert report["first_bad"]["id"] == fix
    assert "git bisect fixed" in report["log"]
    before = git(history.root, "rev-parse", f"{fix}^").strip()
    assert f"git checkout {before[:12]} && " in report["repeat"], "where it can be seen"


def test_first_parent_blames_the_merge(history: History, bisect: Bisect) -> None:
    good = history.head
    git(history.root, "checkout", "-q", "-b", "side")
    culprit = history.commit("break it on a branch", kernel="bug\n")
    git(history.root, "checkout", "-q", "main")
    history.commit("go on", docs="on\n")
    git(history.root, "merge", "-q", "--no-ff", "-m", "merge side", "side")
    merge = history.head
    assert bisect(_KERNEL_BROKEN, good=good)["first_bad"]["id"] == culprit
    report = bisect(_KERNEL_BROKEN, good=good, first_parent=True)
    assert report["first_bad"]["id"] == merge


def test_the_log_can_be_replayed(history: History, bisect: Bisect, tmp_path: Path) -> None:
    good = history.head
    fill(history, 6)
    culprit = history.commit("break it", kernel="bug\n")
    fill(history, 3, 6, kernel="bug ")
    report = bisect(_KERNEL_BROKEN, good=good, term_old="works", term_new="broken")
    log = tmp_path / "log"
    log.write_text(report["log"])
    assert f"{culprit} is the first broken commit" in git(
        history.root, "bisect", "replay", str(log)
    )


def test_paths_and_skips_are_gits(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 6)
    culprit = history.commit("break it", kernel="bug\n")
    fill(history, 3, 6, kernel="bug ")
    assert bisect(_KERNEL_BROKEN, good=good, path=["linux"])["first_bad"]["id"] == culprit
    report = bisect(_KERNEL_BROKEN, good=good, skip=[culprit])
    assert report["status"] == "range"
    assert culprit in {commit["id"] for commit in report["candidates"]}


def test_uncommitted_changes_take_no_part(history: History, bisect: Bisect) -> None:
    good = history.head
    culprit = history.commit("break it", kernel="bug\n")
    (history.root / KERNEL).write_text("fixed, but not committed\n")
    before = history.state()
    report = bisect(_KERNEL_BROKEN, good=good)
    assert report["first_bad"]["id"] == culprit
    assert "has uncommitted changes" in report["notes"]
    assert history.state() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"good": "nowhere"}, "--good nowhere names no commit"),
        ({"good": "HEAD"}, "are the same commit"),
        ({"good": "HEAD", "bad": "HEAD~2"}, "--good HEAD is newer than --bad HEAD~2"),
        ({"good": "other"}, "have no common history"),
        ({"good": ""}, "--good is missing"),
        ({"good": "HEAD~2", "confidence": 1.5}, "--confidence 1.5"),
        ({"good": "HEAD~2", "reason": "bad-luck"}, "--reason bad-luck"),
        ({"good": "HEAD~2", "test": "tests/x.py"}, "both test and argv"),
    ],
)
def test_ends_that_make_no_sense_are_named(
    history: History, bisect: Bisect, words: dict[str, object], message: str
) -> None:
    fill(history, 3)
    git(history.root, "checkout", "-q", "--orphan", "other")
    history.commit("another root")
    git(history.root, "checkout", "-q", "main")
    with pytest.raises(UserError, match=message):
        bisect("true", **words)


def test_a_bad_end_that_passes_is_told(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 2)
    with pytest.raises(UserError, match="does not fail"):
        bisect("true", good=good, confidence=0.6)


def test_swapped_ends_are_told(history: History, bisect: Bisect) -> None:
    broken = history.commit("break it", kernel="bug\n")
    history.commit("fix it", kernel="fine\n")
    with pytest.raises(UserError, match="the wrong way round"):
        bisect(_KERNEL_BROKEN, good=broken)


def test_a_good_end_that_fails_is_told(history: History, bisect: Bisect) -> None:
    good = history.head
    fill(history, 2)
    with pytest.raises(UserError, match="shows the failure too"):
        bisect("false", good=good)


def test_a_cell_that_is_not_in_the_plan_is_told(history: History, bisect: Bisect) -> None:
    plan = history.root / "tests" / "matrix.toml"
    plan.parent.mkdir()
    plan.write_text((Path(__file__).parents[2] / "matrix.toml").read_text())
    good = history.head
    history.commit("plan")
    with pytest.raises(UserError, match="did you mean lab-vcpus2-mmio-smp"):
        bisect("", good=good, cell="lab-vcpus2-mmio-smpp")


def test_a_users_own_kernel_is_searched_in_its_own_history(
    history: History, bisect: Bisect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "kernel"
    kernel.mkdir()
    git(kernel, "init", "-q")
    commits = []
    for number in range(12):
        (kernel / "Kbuild").write_text("top\n")
        (kernel / "Makefile").write_text("bug\n" if number >= 7 else f"{number}\n")
        git(kernel, "add", "--all")
        git(kernel, "commit", "-q", "--allow-empty", "-m", f"kernel {number}")
        commits.append(git(kernel, "rev-parse", "HEAD").strip())
    monkeypatch.setenv("KERNEL_TREE", str(kernel))
    before, kernel_before = history.state(), git(kernel, "for-each-ref")
    report = bisect("! grep -q bug $KERNEL_TREE/Makefile", good=commits[0], bad=commits[-1])
    assert report["first_bad"]["id"] == commits[7]
    assert report["blame"]["label"] == "kernel"
    assert (history.state(), git(kernel, "for-each-ref")) == (before, kernel_before)
    assert not git(kernel, "status", "--porcelain")
