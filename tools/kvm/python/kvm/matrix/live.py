# SPDX-License-Identifier: GPL-2.0-only
"""The user's view of a running matrix: live on a terminal, else one line a cell."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kvm.output.progress import is_live
from kvm.output.words import clean, one_line
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Verdict

_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.FLAKY: "yellow",
    Verdict.SKIP: "cyan",
    Verdict.ERROR: "magenta",
}
_RECENT = 6
_STDOUT = 1


class Display:
    """Notified of each cell's begin and end; the counts are the same for all views."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.counts: Counter[Verdict] = Counter()
        self.running: dict[str, float] = {}
        self.started = time.monotonic()

    @staticmethod
    def choose(total: int, *, plain: bool) -> Display:
        """A live view if there is a terminal for it, on the stdout that pytest hides."""
        stream = os.fdopen(os.dup(_STDOUT), "w", encoding="utf-8", errors="replace")
        live = not plain and is_live(stream, os.environ)
        return LiveDisplay(total, stream) if live else PlainDisplay(total, stream)

    def begins(self, cell: str) -> None:
        self.running[cell] = time.monotonic()

    def ended(self, result: CellResult) -> None:
        self.running.pop(result.cell, None)
        self.counts[result.verdict] += 1
        self.show(result)

    def keep(self, result: CellResult) -> None:
        """Count a result from before this run was interrupted; show it if it did not pass."""
        self.counts[result.verdict] += 1
        if result.verdict not in (Verdict.PASS, Verdict.SKIP):
            self.show(result)

    def start(self) -> None:
        """Called before the first cell."""

    def stop(self) -> None:
        """Called after the last cell."""

    def show(self, result: CellResult) -> None:
        """Show a result."""
        raise NotImplementedError

    @property
    def done(self) -> int:
        return self.counts.total()

    def closing(self) -> str:
        """``matrix: 63 passed, 1 failed, 0 flaky, 0 error, 0 skipped of 64 cells in 301 s``."""
        words = {
            Verdict.PASS: "passed",
            Verdict.FAIL: "failed",
            Verdict.FLAKY: "flaky",
            Verdict.ERROR: "error",
            Verdict.SKIP: "skipped",
        }
        counts = ", ".join(f"{self.counts[verdict]} {word}" for verdict, word in words.items())
        seconds = time.monotonic() - self.started
        missing = "" if self.done >= self.total else f", {self.total - self.done} not run"
        return f"matrix: {counts}{missing} of {self.total} cells in {seconds:.0f} s"


class PlainDisplay(Display):
    """For logs: one line a cell, with the reason if there is one.

    A reader of it who leaves ends the run, as Ctrl-C does.
    """

    def __init__(self, total: int, stream: TextIO) -> None:
        super().__init__(total)
        self._stream = stream

    def show(self, result: CellResult) -> None:
        width = len(str(self.total))
        line = f"[{self.done:{width}}/{self.total}] {result_line(result)}"
        try:
            print(line, file=self._stream, flush=True)
        except BrokenPipeError:
            # The line would be written again at the end, and pytest writes to the same pipe.
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
                os.dup2(nowhere.fileno(), _STDOUT)
            raise KeyboardInterrupt from None


class LiveDisplay(Display):
    """For terminals: a bar, the counts, the running cells, and those that did not pass."""

    def __init__(self, total: int, stream: TextIO) -> None:
        super().__init__(total)
        self._console = Console(file=stream, highlight=False)
        self._recent: deque[Text] = deque(maxlen=_RECENT)
        self._live = Live(console=self._console, get_renderable=self._view, refresh_per_second=4)

    def start(self) -> None:
        self._console.print()
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def show(self, result: CellResult) -> None:
        line = Text(result_line(result), style=_STYLES[result.verdict], no_wrap=True)
        if result.verdict in (Verdict.PASS, Verdict.SKIP):
            self._recent.append(line)
        else:
            self._live.console.print(line)  # stays above the view

    def _view(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        for cell, since in self.running.items():
            table.add_row(Text("▶ " + cell, style="bold"), f"{now - since:.0f} s")
        counts = Text("  ").join(
            Text(f"{count} {verdict.value}", style=_STYLES[verdict])
            for verdict, count in sorted(self.counts.items(), key=lambda item: item[0].value)
        )
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.total, completed=self.done, width=30)
        head.add_row(bar, f"{self.done}/{self.total}", f"{now - self.started:.0f} s", counts)
        return Group(head, *self._recent, table)


def result_line(result: CellResult) -> str:
    """``FAIL lab-vcpus2-mmio-boot hang 12.3 s: no sign of life ...``."""
    words = [f"{result.verdict.value:5}", result.cell, f"{result.seconds:.1f} s"]
    if result.verdict is not Verdict.PASS:
        reason = "" if result.reason.value in ("none", "ok") else f"{result.reason.value}: "
        words.append(one_line(f"{reason}{result.summary}"))
    return " ".join(words)


def failure_text(result: CellResult) -> str:
    """The text that pytest prints of a failed cell: enough to see why and to repeat it."""
    lines = [f"{result.verdict.value} {result.reason.value}: {result.summary}"]
    for item in result.evidence:
        lines += [f"--- {item.kind}", *item.lines]
    lines += [f"--- run folder: {result.run_dir}"] if result.run_dir else []
    return clean("\n".join([*lines, f"--- repeat: {result.repeat}"]))
