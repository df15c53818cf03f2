# SPDX-License-Identifier: GPL-2.0-only
"""Boots in a thread, and acts on the guest once it says that it is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.boot import build_and_boot
from kvm.run.record import RunRecord
from support.asked import boot_options
from support.machines import Output, Run, host_was_lost, on_a_host_that_lasts

_DEADLINE_S = 120.0


class Guest:
    """A machine in a thread, with its command's output so far."""

    def __init__(self, project: Project, script: str, **options: object) -> None:
        self._output = Output()
        self._records: list[RunRecord] = []
        chosen = boot_options(
            command=("sh", "-c", script),
            host="lab",
            timeout_s=20.0,
            deadline_s=240.0,
            **options,
        )

        def run() -> None:
            with Progress(live=False) as progress:
                self._records.append(
                    build_and_boot(project, chosen.check(), progress, self._output.streams)
                )

        self._thread = threading.Thread(target=run)
        self._thread.start()

    @property
    def said(self) -> str:
        return self._output.out.decode()

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + _DEADLINE_S
        while text not in self.said:
            assert self._thread.is_alive(), f"it ended without {text!r}: {self.said}"
            assert time.monotonic() < end, f"no {text!r}: {self.said}"
            time.sleep(0.02)

    def end(self) -> Run:
        self._thread.join(_DEADLINE_S)
        assert self._records, "the boot neither ended nor failed"
        return self._output.run(self._records[0])


Act = Callable[[Guest], None]


def play(project: Project, script: str, act: Act, **options: object) -> Run:
    """Boot, act while the guest runs, and return the run."""

    def once() -> Run:
        guest = Guest(project, script, **options)
        try:
            act(guest)
        except (AssertionError, UserError):
            run = guest.end()
            if not host_was_lost(run):
                raise
            return run
        return guest.end()

    return on_a_host_that_lasts(once)
