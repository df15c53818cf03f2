# SPDX-License-Identifier: GPL-2.0-only
"""The search itself, by ``git bisect --no-checkout`` in a repository of ours.

So skipped commits, merges, paths, ``--first-parent``, terms and the log work as everybody knows,
and git chooses the next commit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kvm.bisect.model import Mark
from kvm.errors import UserError
from kvm.kernel.git import Repository
from kvm.process import Completed

_FIRST = re.compile(r"^([0-9a-f]{40,64}) is the first (\S+) commit$", re.MULTILINE)
_LEFT = re.compile(r"^Bisecting: (\d+) revisions? left to test after this", re.MULTILINE)
_ID = re.compile(r"^([0-9a-f]{40,64})$", re.MULTILINE)
_ONLY_SKIPPED = "There are only 'skip'ped commits left to test."


@dataclass(frozen=True, slots=True)
class Terms:
    """The words for the two states; ``new`` is for the later one."""

    old: str = "good"
    new: str = "bad"

    def word(self, mark: Mark) -> str:
        return {Mark.GOOD: self.old, Mark.BAD: self.new, Mark.SKIP: "skip"}[mark]


@dataclass(frozen=True, slots=True)
class SearchState:
    """The state of the search: the next commit to test and how many are left, or its end."""

    commit: str = ""
    left: int = 0
    first_bad: str = ""
    candidates: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        return not self.commit


class Search:
    """One bisection of ``repository``, whose work tree and index are not touched."""

    def __init__(self, repository: Repository, terms: Terms) -> None:
        self._repository = repository
        self._terms = terms

    def start(
        self,
        good: str,
        bad: str,
        *,
        first_parent: bool = False,
        skipped: Sequence[str] = (),
        paths: Sequence[str] = (),
    ) -> SearchState:
        """Begin, even if another bisection is under way in the repository."""
        self._repository.call("bisect", "reset")
        options = [f"--term-old={self._terms.old}", f"--term-new={self._terms.new}"]
        options += ["--first-parent"] * first_parent
        begun = self._bisect("start", "--no-checkout", *options, bad, good, "--", *paths)
        return self._bisect("skip", *skipped) if skipped and not begun.over else begun

    def mark(self, commit: str, mark: Mark) -> SearchState:
        """Mark ``commit``; return the next state."""
        return self._bisect(self._terms.word(mark), commit)

    def log(self) -> str:
        """The log for ``git bisect replay``."""
        return self._repository.call("bisect", "log")

    def _bisect(self, *words: str) -> SearchState:
        done = self._repository.run("bisect", *words, check=False)
        if (state := self._end(done)) is not None:
            return state
        if not done.ok:
            raise UserError(f"git bisect {words[0]}: {done.output.strip()}", "check the two ends")
        commit = self._repository.commit_of("BISECT_HEAD")
        assert commit is not None
        left = _LEFT.search(done.output)
        return SearchState(commit, int(left.group(1)) if left else 0)

    def _end(self, done: Completed) -> SearchState | None:
        if first := _FIRST.search(done.output):
            return SearchState(first_bad=first.group(1))
        if _ONLY_SKIPPED in done.output:
            rest = done.output.partition(_ONLY_SKIPPED)[2]
            return SearchState(candidates=tuple(_ID.findall(rest)))
        return None
