# SPDX-License-Identifier: GPL-2.0-only
"""Values of a bisection: the request, the results of each revision, and the conclusions.

Other modules of ``kvm.bisect`` make them, ``kvm.report.bisect`` renders them. Times are seconds;
commits are full ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kvm.verdict.vocabulary import Outcome, Reason, Verdict


class Mark(Enum):
    """The mark of a revision for ``git bisect``; SKIP is "cannot tell"."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class Axis(Enum):
    """A part that can come from either commit. A lab host has a kernel of its own."""

    HOST = "kvm (host)"
    GUEST = "guest"
    VMM = "vmm"


class Label(Enum):
    """The half to blame. ``EITHER``: each alone suffices; ``INTERACTION``: only both together."""

    KERNEL = "kernel"
    VMM = "vmm"
    INTERACTION = "interaction"
    EITHER = "either"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Commit:
    """``date`` is the author's, as YYYY-MM-DD; ``halves`` names the halves it touches."""

    id: str
    subject: str
    author: str = ""
    date: str = ""
    halves: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The first 12 digits, as in a ``Fixes:`` tag."""
        return self.id[:12]

    @property
    def fixes(self) -> str:
        return f'Fixes: {self.short} ("{self.subject}")'


@dataclass(frozen=True, slots=True)
class Mix:
    """The commit from which each part of a machine comes."""

    host: str
    guest: str
    vmm: str

    @classmethod
    def of(cls, commit: str) -> Mix:
        return cls(commit, commit, commit)

    def at(self, axis: Axis) -> str:
        return {Axis.HOST: self.host, Axis.GUEST: self.guest, Axis.VMM: self.vmm}[axis]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test. ``run_dir`` has its console ("" if nothing booted)."""

    verdict: Verdict
    reason: Reason
    summary: str
    signature: str = ""
    seconds: float = 0.0
    run_dir: str = ""

    @classmethod
    def of(cls, outcome: Outcome, seconds: float = 0.0, run_dir: str = "") -> Run:
        return cls(
            outcome.verdict,
            outcome.reason,
            outcome.summary,
            outcome.signature,
            round(seconds, 3),
            run_dir,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "reason": self.reason.value,
            "summary": self.summary,
            "signature": self.signature,
            "seconds": self.seconds,
            "run_dir": self.run_dir,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Run:
        """Raises ``KeyError`` or ``ValueError`` for a record that ``to_json`` did not write."""
        return cls(
            Verdict(record["verdict"]),
            Reason(record["reason"]),
            record["summary"],
            record["signature"],
            record["seconds"],
            record["run_dir"],
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The conclusion from the runs of one revision or mix.

    ``why`` is a line for people; ``bad`` and ``good`` count the runs that showed the failure
    and those that passed. ``kernel`` and ``vmm`` are ids of what was run ("" if not built).
    """

    mark: Mark
    why: str
    bad: int = 0
    good: int = 0
    kernel: str = ""
    vmm: str = ""
    seconds: float = 0.0
    reused: bool = False  # known from an earlier run; it caused no new one


@dataclass(frozen=True, slots=True)
class Step:
    """A revision that the search asked for. ``left`` is how many commits were left then.

    ``at`` is its place in history: how many commits it has that the good end lacks (0: unknown).
    """

    commit: Commit
    decision: Decision
    left: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that is searched for. A signature of "" is not compared: the reason is enough.

    ``rate`` is how often a run of the bad end shows it; ``steady``: always.
    """

    reason: Reason
    signature: str
    summary: str
    rate: float = 1.0
    steady: bool = True


@dataclass(frozen=True, slots=True)
class MixResult:
    """A cell of the table of blame: the axes that come from the bad commit, and the decision."""

    changed: frozenset[Axis]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Blame:
    """The half to blame. ``parts`` are the axes of the smallest bad change.

    ``patch`` is the one file of linux/patches that makes the difference ("" if the kernel is not
    to blame, or the patch is unknown). ``words`` is the sentence for people.
    """

    label: Label
    words: str
    parts: tuple[Axis, ...] = ()
    table: tuple[MixResult, ...] = ()
    patch: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished bisection.

    ``first_bad`` is None if only skipped commits were left; ``candidates`` has them then, oldest
    first. ``log`` is git's own, for ``git bisect replay``. ``confidence`` is that of the whole
    answer. ``repeat`` is the command line that shows the failure again. ``fix``: the older end
    fails, and ``first_bad`` is the commit that fixed it; marks say what was observed, so older
    steps are bad then. ``commits`` is the place (``Step.at``) of the bad end.
    """

    test: str
    command: str
    good: Commit
    bad: Commit
    failure: Failure
    steps: tuple[Step, ...]
    first_bad: Commit | None
    candidates: tuple[Commit, ...]
    blame: Blame | None
    confidence: float
    log: str
    repeat: str
    started: float
    seconds: float
    kernels_built: int = 0
    vmms_built: int = 0
    reused: int = 0
    fix: bool = False
    commits: int = 0
