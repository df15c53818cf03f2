# SPDX-License-Identifier: GPL-2.0-only
"""The terms of a verdict and their process exit codes, defined only here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

EXIT_GOOD = 0
EXIT_BAD = 1
EXIT_CANNOT_TELL = 125  # `git bisect run` takes it as "skip this revision"
EXIT_USAGE = 129  # a usage error, as in git; `git bisect run` stops at it
EXIT_BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended
_FIRST_SIGNAL_CODE = 128  # from here on `git bisect run` aborts the whole bisection


class Verdict(Enum):
    """FAIL blames the code under test; ERROR blames nobody; SKIP did not try.

    FLAKY both failed and passed: a cell of the matrix, or a machine that the emulator may have
    lost.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    FLAKY = "FLAKY"
    SKIP = "SKIP"
    ERROR = "ERROR"


class Reason(Enum):
    OK = "ok"
    NONE = "none"
    BUILD_FAILURE = "build-failure"
    KERNEL_PANIC = "kernel-panic"
    KERNEL_OOPS = "kernel-oops"
    KERNEL_WARNING = "kernel-warning"
    HANG = "hang"
    GUEST_EXIT = "guest-exit"
    CHECK_FAILED = "check-failed"
    VMM_CRASH = "vmm-crash"
    VMM_ERROR = "vmm-error"
    HOST_PANIC = "host-panic"
    INFRASTRUCTURE = "infrastructure"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Lines that show why. ``kind`` names their source: console, registers, stderr, ..."""

    kind: str
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "lines": list(self.lines)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with its reason and proof.

    ``signature`` is the same for the same failure on another machine or commit (no addresses,
    pids or line numbers), so that a bisection can distinguish two crashes.
    """

    verdict: Verdict
    reason: Reason
    summary: str
    evidence: tuple[Evidence, ...] = ()
    signature: str = ""

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def exit_code(self) -> int:
        return exit_code(self.verdict, self.reason)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "reason": self.reason.value,
            "summary": self.summary,
            "signature": self.signature,
            "evidence": [item.to_json() for item in self.evidence],
        }


def exit_code(verdict: Verdict, reason: Reason) -> int:
    """0 good, 1 bad, 125 cannot tell.

    A revision that does not compile can't show whether it has the bug that is searched for, so a
    build failure is 125 although it is a FAIL.
    """
    if verdict is Verdict.PASS:
        return EXIT_GOOD
    if verdict is Verdict.FAIL and reason is not Reason.BUILD_FAILURE:
        return EXIT_BAD
    return EXIT_CANNOT_TELL


def passed_on(guest_code: int) -> int:
    """The guest command's exit code as ours: death by signal (128 and up) becomes 1."""
    return guest_code if 0 <= guest_code < _FIRST_SIGNAL_CODE else EXIT_BAD
