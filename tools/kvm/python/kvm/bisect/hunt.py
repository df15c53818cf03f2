# SPDX-License-Identifier: GPL-2.0-only
"""Runs one bisection from its ends to its report: verify, search, blame."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field, replace

from kvm.bisect import blame, ends, proof
from kvm.bisect.confidence import Sequential, error_of_each
from kvm.bisect.decide import Judge
from kvm.bisect.ends import Wanted
from kvm.bisect.model import (
    Axis,
    Blame,
    Commit,
    Decision,
    Failure,
    Label,
    Mark,
    Mix,
    Report,
    Step,
)
from kvm.bisect.patches import guilty_patch
from kvm.bisect.request import Request
from kvm.bisect.search import Search, SearchState, Terms
from kvm.bisect.session import Session
from kvm.bisect.subject import Built, NoSuchTest, Subject, Unbuildable
from kvm.bisect.workplace import Workplace
from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.say import Say

# The table of blame needs at most as many more answers, and there are two ends.
_OTHER_ANSWERS = 8


@dataclass(slots=True)
class Hunt:
    """The parts of a bisection, and what it has found so far."""

    session: Session
    workplace: Workplace
    subject: Subject
    progress: Progress
    steps: list[Step] = field(default_factory=list)

    def run(self) -> Report:
        """Raises ``UserError`` if the ends are not what they are claimed to be."""
        begun = time.time()
        good, bad = self.session.ends
        failure, judge = self._verified(good, bad)
        self.progress.note(f"hunting {failure.reason.value}: {failure.summary}")
        search = Search(self.workplace.searched, self._terms)
        end = self._search(search, judge)
        while (known := self._disproved(judge, end)) is not None:
            self.progress.note(
                f"a revision that had passed shows the failure after all, in {known.rate:.0%} of "
                "the runs where it is known to be: searching again"
            )
            failure, judge = (
                known,
                replace(judge, failure=known, test=ends.test_for(known, judge.test.error)),
            )
            self.steps.clear()
            end = self._search(search, judge)
        first_bad = self.workplace.commit(end.first_bad) if end.first_bad else None
        with self.progress.phase("blame") as say:
            strict = proof.proving(judge)
            found = self._blame(strict, first_bad, say) if self.request.blame else None
        return self._report(failure, end, first_bad, found, search.log(), begun)

    @property
    def request(self) -> Request:
        return self.session.request

    @property
    def _terms(self) -> Terms:
        old, new = ("broken", "fixed") if self.request.fix else ("good", "bad")
        return Terms(self.request.term_old or old, self.request.term_new or new)

    def _verified(self, good: str, bad: str) -> tuple[Failure, Judge]:
        """The failure that the failing end shows, and the judge of all other commits."""
        failing, passing = (good, bad) if self.request.fix else (bad, good)
        with self.progress.phase("ends") as say:
            at_failing = self._built_end(failing, say)
            at_passing = self._built_end(passing, say)
            if at_failing.key == at_passing.key:
                raise UserError(
                    "the two ends have the same kernel and VMM: nothing to find",
                    "what differs is in the test; bisect it with a command after --",
                )
            wanted = Wanted(self.request.reason, self.request.signature)
            journal = self.workplace.journal
            try:
                failure = ends.failure_at(
                    at_failing, at_passing, journal, wanted, self.request.confidence, say
                )
                judge = Judge(journal, failure, self._test(failure), say)
                ends.check_passing(judge, at_passing)
            except NoSuchTest as missing:
                raise UserError(str(missing), "give ends at which the test exists") from missing
        return failure, judge

    def _test(self, failure: Failure) -> Sequential:
        count = self._place(self.session.ends[1])
        answers = math.ceil(math.log2(max(count, 2))) + _OTHER_ANSWERS
        return ends.test_for(failure, error_of_each(self.request.confidence, answers))

    def _built_end(self, commit: str, say: Say) -> Built:
        try:
            return self.subject.build(Mix.of(commit), say)
        except Unbuildable as why:
            raise UserError(f"the end {commit[:12]} {why}", "give ends that build") from why

    def _search(self, search: Search, judge: Judge) -> SearchState:
        good, bad = self.session.ends
        state = search.start(
            good,
            bad,
            first_parent=self.request.first_parent,
            skipped=self.request.skip,
            paths=self.request.paths or self.subject.paths,
        )
        while not state.over:
            state = self._step(search, judge, state)
        return state

    def _disproved(self, judge: Judge, end: SearchState) -> Failure | None:
        """The failure as seen in a revision next to the commit that was found, if it shows it."""
        if not end.first_bad:
            return None
        with self.progress.phase("proof") as say:
            judge = replace(judge, say=say)
            try:
                passing = self.subject.build(Mix.of(self._passing_side(end.first_bad)), say)
            except (Unbuildable, NoSuchTest):
                return None  # it was not taken as good
            return proof.disproved(judge, passing)

    def _passing_side(self, found: str) -> str:
        """The commit that does not fail: the one that was found, or its parent."""
        if self.request.fix:
            return found
        parent = self.workplace.searched.commit_of(f"{found}^1")
        return self.session.ends[0] if parent is None else parent

    def _step(self, search: Search, judge: Judge, state: SearchState) -> SearchState:
        start = time.monotonic()
        commit = self.workplace.commit(state.commit)
        with self.progress.phase(f"step {len(self.steps) + 1}") as say:
            say(f"{commit.short} {commit.subject}")
            decision = self._decide(judge, Mix.of(commit.id), say)
        if commit.id not in self.workplace.journal.steps:
            self.workplace.journal.add_step(commit.id, time.monotonic() - start)
        decision = replace(decision, seconds=self.workplace.journal.steps[commit.id])
        self.steps.append(Step(commit, decision, state.left, self._place(commit.id)))
        mark = _inverted(decision.mark) if self.request.fix else decision.mark
        self.progress.note(
            f"{self._terms.word(mark):4} {commit.short} {commit.subject}: {decision.why}"
            f"{self._to_go(state)}"
        )
        return search.mark(commit.id, mark)

    def _place(self, commit: str) -> int:
        """How many commits it has that the older end lacks."""
        words = ("rev-list", "--count", f"{self.session.ends[0]}..{commit}")
        return int(self.workplace.searched.call(*words))

    def _to_go(self, state: SearchState) -> str:
        if not state.left:
            return ""
        steps = math.ceil(math.log2(state.left + 1))
        each = statistics.median(step.decision.seconds for step in self.steps)
        plural = "step" if steps == 1 else "steps"
        return f" ({state.left} commits left, about {steps} {plural}, {steps * each:.0f} s)"

    def _decide(self, judge: Judge, mix: Mix, say: Say) -> Decision:
        """Decide a mix; what can't be built or found is skipped."""
        judge = Judge(judge.journal, judge.failure, judge.test, say)
        try:
            return judge.decide(self.subject.build(mix, say))
        except (Unbuildable, NoSuchTest) as why:
            return Decision(Mark.SKIP, str(why))

    def _blame(self, judge: Judge, first_bad: Commit | None, say: Say) -> Blame | None:
        """The half of the first bad commit, or of the remaining range, that is to blame."""
        pair = self._pair(first_bad)
        if pair is None:
            return None
        passing, failing = reversed(pair) if self.request.fix else pair
        table = blame.Table.over(
            passing,
            failing,
            self.subject.axes,
            lambda mix: self._decide(judge, mix, say),
        )
        found = blame.find(table, self._differing(passing, failing))
        if found.label in (Label.KERNEL, Label.INTERACTION) and not self.workplace.external:
            patch = self._patch(judge, passing, failing, found, say)
            return replace(found, patch=patch)
        return found

    def _pair(self, first_bad: Commit | None) -> tuple[str, str] | None:
        """The last known good commit and the first known bad one."""
        if first_bad is not None:
            parent = self.workplace.searched.commit_of(f"{first_bad.id}^1")
            return (parent, first_bad.id) if parent is not None else None
        good, bad = self.session.ends
        for step in self.steps:
            mark = _inverted(step.decision.mark) if self.request.fix else step.decision.mark
            if mark is Mark.GOOD:
                good = step.commit.id
            elif mark is Mark.BAD:
                bad = step.commit.id
        return good, bad

    def _differing(self, good: str, bad: str) -> frozenset[Axis]:
        """The axes whose builds differ; the others need no run."""
        found = set()
        for axis in self.subject.axes:
            paths = self.workplace.paths_of(axis)
            if self.workplace.content(good, paths) != self.workplace.content(bad, paths):
                found.add(axis)
        return frozenset(found)

    def _patch(self, judge: Judge, passing: str, failing: str, found: Blame, say: Say) -> str:
        """The single kernel patch; the rest of the machine is such that the failure shows."""
        vmm = failing if Axis.VMM in found.parts else passing

        def test(commit: str) -> Decision:
            return self._decide(judge, Mix(commit, commit, vmm), say)

        return guilty_patch(self.workplace, passing, failing, test)

    def _report(
        self,
        failure: Failure,
        end: SearchState,
        first_bad: Commit | None,
        found: Blame | None,
        log: str,
        begun: float,
    ) -> Report:
        good, bad = (self.workplace.commit(commit) for commit in self.session.ends)
        pair = self._pair(first_bad)
        shows_it = bad.id if pair is None else pair[0] if self.request.fix else pair[1]
        return Report(
            test=self.subject.words,
            command=self.session.command,
            good=good,
            bad=bad,
            failure=failure,
            steps=tuple(self.steps),
            first_bad=first_bad,
            candidates=tuple(
                self.workplace.commit(c) for c in sorted(end.candidates, key=self._place)
            ),
            blame=found,
            confidence=self.request.confidence,
            log=log,
            repeat=self.subject.repeat(shows_it),
            started=self.session.started,
            seconds=round(time.time() - begun, 1),
            kernels_built=self.workplace.kernels_built,
            vmms_built=self.workplace.vmms_built,
            reused=sum(step.decision.reused for step in self.steps),
            fix=self.request.fix,
            commits=self._place(bad.id),
        )


def _inverted(mark: Mark) -> Mark:
    return {Mark.GOOD: Mark.BAD, Mark.BAD: Mark.GOOD}.get(mark, mark)
