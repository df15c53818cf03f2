# SPDX-License-Identifier: GPL-2.0-only
"""Values of a bisection: what was asked, what each revision showed, and what follows from it.

Made by the other modules of ``kvm.bisect``, rendered by ``kvm.report.bisect``. Times are
seconds; commits are full ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kvm.verdict.vocabulary import Outcome, Reason, Verdict


class Mark(Enum):
    """What a revision is to ``git bisect``; SKIP is "cannot tell"."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class Axis(Enum):
    """What may come from one commit or the other. A lab host has a kernel of its own."""

    HOST = "kvm (host)"
    GUEST = "guest"
    VMM = "vmm"


class Label(Enum):
    """Which half is to blame. ``EITHER``: each alone suffices; ``INTERACTION``: only together."""

    KERNEL = "kernel"
    VMM = "vmm"
    INTERACTION = "interaction"
    EITHER = "either"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Commit:
    """``date`` is the author's, as YYYY-MM-DD; ``halves`` names what it touches."""

    id: str
    subject: str
    author: str = ""
    date: str = ""
    halves: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The 12 digits that a ``Fixes:`` tag wants."""
        return self.id[:12]

    @property
    def fixes(self) -> str:
        return f'Fixes: {self.short} ("{self.subject}")'


@dataclass(frozen=True, slots=True)
class Mix:
    """Which commit each part of a machine comes from."""

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
    """One run of the test. ``run_dir`` is where its console is ("" when nothing booted)."""

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
        """Raises ``KeyError`` or ``ValueError`` for what ``to_json`` did not write."""
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
    """What runs of one revision, or of one mix, amount to.

    ``why`` is a line for people; ``bad`` and ``good`` count the runs that showed the failure
    and those that passed. ``kernel`` and ``vmm`` are ids of what was run ("" when not built).
    """

    mark: Mark
    why: str
    bad: int = 0
    good: int = 0
    kernel: str = ""
    vmm: str = ""
    seconds: float = 0.0
    reused: bool = False  # known from an earlier run, nothing was run for it


@dataclass(frozen=True, slots=True)
class Step:
    """A revision that the search asked for. ``left`` is how many commits were then left.

    ``at`` is its place in history: how many commits it has that the good end lacks (0: not known).
    """

    commit: Commit
    decision: Decision
    left: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure that is hunted. A signature of "" is not compared: the reason is enough.

    ``rate`` is how often a run of the bad end shows it; ``steady`` when always.
    """

    reason: Reason
    signature: str
    summary: str
    rate: float = 1.0
    steady: bool = True


@dataclass(frozen=True, slots=True)
class MixResult:
    """One cell of the table of blame: which axes come from the bad commit, and what it did."""

    changed: frozenset[Axis]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Blame:
    """Which half it is. ``parts`` are the axes of the smallest change that is bad.

    ``patch`` is the one file of linux/patches that makes the difference ("" when the kernel is
    not to blame, or when it could not be told). ``words`` is the sentence for people.
    """

    label: Label
    words: str
    parts: tuple[Axis, ...] = ()
    table: tuple[MixResult, ...] = ()
    patch: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A bisection that ended.

    ``first_bad`` is None when only skipped commits were left: then ``candidates`` holds them,
    oldest first. ``log`` is git's own, which ``git bisect replay`` takes. ``confidence`` is
    that of the whole answer. ``repeat`` is the command line that shows the failure again.
    ``fix``: the older end fails, and ``first_bad`` is the commit that fixed it; marks say what
    was seen, so older steps are bad then. ``commits`` is the place (``Step.at``) of the bad end.
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
