# SPDX-License-Identifier: GPL-2.0-only
"""The result of one boot in a test, and how to repeat it when the lab host was lost."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from kvm.run.boot import Streams
from kvm.run.record import RunRecord
from kvm.verdict.vocabulary import Reason, Verdict

# Emulated SVM loses a lab host now and then (docs/decisions/0009-emulated-svm.md). A fault of the
# code happens again.
LOST_HOSTS = (Reason.HOST_PANIC, Reason.INFRASTRUCTURE)
_LOST = "lost the lab host"  # other trouble of the infrastructure is what a test asked for


@dataclass(frozen=True)
class Run:
    """One boot: its record and what its command wrote."""

    record: RunRecord
    stdout: bytes
    stderr: bytes

    @property
    def verdict(self) -> tuple[str, str]:
        return self.record.outcome.verdict.value, self.record.outcome.reason.value

    @property
    def console(self) -> str:
        assert self.record.run_dir is not None
        return (self.record.run_dir / "console.log").read_text(errors="replace")

    def __str__(self) -> str:
        """The text of a failing assertion: enough to repeat the run and to see why."""
        outcome = self.record.outcome
        lines = [f"{self.verdict} {outcome.summary}", f"repeat: {self.record.repeat}"]
        lines += [line for item in outcome.evidence for line in item.lines]
        return "\n".join([*lines, f"run: {self.record.run_dir}"])


class Output:
    """A command's output; that of an attempt whose machine was lost is dropped."""

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.streams = Streams(self.out.extend, self.err.extend, restart=self._forget)

    def run(self, record: RunRecord) -> Run:
        return Run(record, bytes(self.out), bytes(self.err))

    def _forget(self) -> None:
        self.out.clear()
        self.err.clear()


Boot = Callable[..., Run]


def host_was_lost(found: Run) -> bool:
    """Whether a test should be repeated, because it met trouble that proves nothing."""
    outcome = found.record.outcome
    if outcome.verdict is Verdict.FLAKY:  # or it lost a guest, whose second boot passed
        return True
    stalled = outcome.reason is Reason.HANG and outcome.signature.startswith("host ")
    lost = outcome.reason is Reason.INFRASTRUCTURE and outcome.summary.startswith(_LOST)
    return stalled or lost or outcome.reason is Reason.HOST_PANIC


def on_a_host_that_lasts(once: Callable[[], Run]) -> Run:
    """The result of ``once``, repeated with a warning if the lab host was lost."""
    found = once()
    if host_was_lost(found):
        warnings.warn(f"the lab host was lost, booting again: {found}", stacklevel=3)
        found = once()
    return found
