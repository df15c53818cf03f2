# SPDX-License-Identifier: GPL-2.0-only
"""Names a process so that another one with the same pid is never mistaken for it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid and the process's start time in clock ticks since boot (proc(5), stat field 22)."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this pid now; None if there is none or it is a zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        # The command's name, in parentheses, may contain blanks and parentheses.
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def kill(self, wait_s: float = 5.0) -> bool:
        """SIGKILL it and wait until it is gone; return whether it is."""
        return self._until_gone(signal.SIGKILL, wait_s)

    def wait(self, wait_s: float) -> bool:
        """Wait until it is gone; return whether it is."""
        return self._until_gone(None, wait_s)

    def _until_gone(self, sent: signal.Signals | None, wait_s: float) -> bool:
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            if sent is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, sent)
            waiting = select.poll()
            waiting.register(pidfd, select.POLLIN)
            return bool(waiting.poll(wait_s * 1000))
        finally:
            os.close(pidfd)


def boot_id() -> str:
    """An id that changes when the computer restarts: older pids and measurements are void."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
