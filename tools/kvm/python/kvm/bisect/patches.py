# SPDX-License-Identifier: GPL-2.0-only
"""Finds the patch that makes the difference in a commit that changes several kernel patches.

The patch series is cut after each of them in turn, as commits of ours, and searched by bisection
like any history.
"""

from __future__ import annotations

from collections.abc import Callable

from kvm.bisect.model import Decision, Mark
from kvm.bisect.workplace import Workplace

_FOLDER = "linux/patches"
_SERIES = f"{_FOLDER}/series"

Test = Callable[[str], Decision]


def guilty_patch(workplace: Workplace, good: str, bad: str, test: Test) -> str:
    """The patch's file name, or "" if no single one can be named.

    ``test`` decides a commit by its kernel half; it is called only for cut series.
    """
    before, after = (_series(workplace, commit) for commit in (good, bad))
    same = _common(workplace, good, bad, before, after)
    if len(after) - same < 1 or len(before) > same:
        return ""  # patches were changed or removed: cutting the series does not undo that
    if len(after) - same == 1:
        return after[-1]
    low, high = same, len(after)
    if test(_cut(workplace, bad, after, low)).mark is not Mark.GOOD:
        return ""
    while high - low > 1:
        middle = (low + high) // 2
        mark = test(_cut(workplace, bad, after, middle)).mark
        if mark is Mark.SKIP:
            return ""
        low, high = (middle, high) if mark is Mark.GOOD else (low, middle)
    return after[high - 1]


def _series(workplace: Workplace, commit: str) -> list[str]:
    if not workplace.searched.call("ls-tree", commit, "--", _SERIES):
        return []
    lines = workplace.searched.call("show", f"{commit}:{_SERIES}").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _common(workplace: Workplace, good: str, bad: str, before: list[str], after: list[str]) -> int:
    """How many patches at the beginning are the same in both."""
    count = 0
    for old, new in zip(before, after, strict=False):
        ids = {
            workplace.searched.call("rev-parse", f"{commit}:{_FOLDER}/{name}")
            for commit, name in ((good, old), (bad, new))
        }
        if len(ids) > 1:
            break
        count += 1
    return count


def _cut(workplace: Workplace, commit: str, names: list[str], count: int) -> str:
    """``commit`` with only the first ``count`` patches."""
    here = workplace.searched
    text = "".join(f"{name}\n" for name in names[:count])
    blob = here.run("hash-object", "-w", "--stdin", stdin=text.encode()).output.strip()
    with here.scratch_index(commit) as env:
        here.call("update-index", "--cacheinfo", f"100644,{blob},{_SERIES}", env=env)
        for name in names[count:]:
            here.call("rm", "-f", "--quiet", "--cached", "--", f"{_FOLDER}/{name}", env=env)
        return workplace.synthetic(here.call("write-tree", env=env), commit)
