# SPDX-License-Identifier: GPL-2.0-only
"""Finds the kconfig symbols or the devices, rather than the commit, that make a cell fail.

The verdicts decide as in history: only the failure of the bad end makes a set of differences bad; a
set that does not build or fails in another way can't tell.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kvm.bisect import ddmin, ends
from kvm.bisect.confidence import error_of_each
from kvm.bisect.decide import Judge
from kvm.bisect.model import Decision, Failure, Mark
from kvm.bisect.session import Session
from kvm.bisect.subject import Built, Unbuildable
from kvm.bisect.variants import Variants
from kvm.bisect.workplace import Workplace
from kvm.errors import UserError
from kvm.files import write_whole
from kvm.output.progress import Progress
from kvm.output.targets import STDOUT, Outputs
from kvm.output.words import clean

SCHEMA = 1
_ANSWERS = 64  # about as many sets as a search tries


@dataclass(frozen=True, slots=True)
class Tried:
    """A set of differences and its result."""

    chosen: tuple[str, ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Minimal:
    """``found`` is the smallest set that is still bad."""

    what: str
    test: str
    failure: Failure
    found: tuple[str, ...]
    of: int
    tried: tuple[Tried, ...]
    seconds: float

    def text(self) -> str:
        head = f"{len(self.found)} of {self.of} {self.what} make {self.test} fail:"
        lines = [head, *(f"  {name}" for name in self.found)]
        why = f"{self.failure.reason.value}: {self.failure.summary}"
        spent = f"{len(self.tried)} sets tried in {self.seconds:.0f} s"
        return "\n".join([*lines, why, spent]) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "what": self.what,
            "test": self.test,
            "found": list(self.found),
            "of": self.of,
            "failure": {"reason": self.failure.reason.value, "summary": self.failure.summary},
            "tried": [
                {
                    "chosen": list(one.chosen),
                    "mark": one.decision.mark.value,
                    "why": one.decision.why,
                    "seconds": one.decision.seconds,
                }
                for one in self.tried
            ],
            "seconds": self.seconds,
        }


def minimise(
    variants: Variants, session: Session, workplace: Workplace, progress: Progress
) -> Minimal:
    """Raises ``UserError`` if all differences together do not fail, or none of them does."""
    begun = time.monotonic()
    wanted = session.request
    with progress.phase("ends") as say:
        try:
            whole, none = variants.build(variants.names, say), variants.build((), say)
        except Unbuildable as why:
            raise UserError(f"an end {why}", "fix that first") from why
        said = ends.Wanted(wanted.reason, wanted.signature)
        failure = ends.failure_at(whole, none, workplace.journal, said, wanted.confidence, say)
        test = ends.test_for(failure, error_of_each(wanted.confidence, _ANSWERS))
        ends.check_passing(Judge(workplace.journal, failure, test, say), none)
    tried: list[Tried] = []

    def is_bad(chosen: Sequence[str]) -> Mark:
        with progress.phase(f"set {len(tried) + 1}") as say:
            say(f"{len(chosen)} of {len(variants.names)} {variants.what}")
            try:
                built: Built = variants.build(chosen, say)
                decision = Judge(workplace.journal, failure, test, say).decide(built)
            except Unbuildable as why:
                decision = Decision(Mark.SKIP, str(why))
        tried.append(Tried(tuple(chosen), decision))
        progress.note(f"{decision.mark.value:4} {_short(chosen)}: {decision.why}")
        return decision.mark

    found = ddmin.minimal(variants.names, is_bad)
    seconds = round(time.monotonic() - begun, 1)
    count = len(variants.names)
    return Minimal(variants.what, wanted.words, failure, found, count, tuple(tried), seconds)


def conclude(found: Minimal, session: Session, json_target: str, out: Outputs) -> None:
    """Print the result, and keep it in the session's folder."""
    text = json.dumps(found.to_json(), indent=1) + "\n"
    write_whole(session.folder / "report.json", text)
    if json_target != STDOUT:
        print(clean(found.text()), end="")
    if json_target:
        out.put(json_target, text)


def _short(chosen: Sequence[str]) -> str:
    shown = ", ".join(chosen[:4])
    return f"{shown} and {len(chosen) - 4} more" if len(chosen) > 4 else shown
