# SPDX-License-Identifier: GPL-2.0-only
"""Progress on stderr: it never disturbs a guest's output, and is never silent for long.

On a terminal one line is redrawn in place. Elsewhere (CI, a pipe, TERM=dumb) each phase has a
line at its start and end, and a heartbeat while it lasts. It needs no slow import, so a start
without progress costs no time.

Phases are entered from one thread; ``update`` may be called from any. One daemon thread redraws;
it belongs to the ``Progress`` and ends with ``close()``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from kvm.output.words import clean, one_line

HEARTBEAT_S = 30.0
_REDRAW_S = 0.2
_ERASE = "\r\x1b[2K"


@dataclass(slots=True)
class _Phase:
    name: str
    started_s: float
    told_s: float
    detail: str = ""


class Progress:
    """One run's progress. Use as a context manager, or call ``close()``."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        live: bool | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._live = is_live(self._stream, os.environ) if live is None else live
        self._colour = colour_wanted(self._stream, os.environ) and self._live
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._lock = threading.Lock()
        self._phases: list[_Phase] = []
        self._drawn = False
        self._closing = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Callable[[str], None]]:
        """Mark a phase; yields ``update(text)``, which shows the current step."""
        phase = self._enter(name)

        def update(text: str) -> None:
            phase.detail = one_line(text)

        try:
            yield update
        except BrokenPipeError:  # the reader of the output has closed it
            self._leave(phase, "ended after")
            raise
        except BaseException:
            self._leave(phase, "failed after")
            raise
        self._leave(phase, "done in")

    def note(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._erase()
            self._write(f"{clean(text)}\n")
            self._draw()

    def pause(self) -> None:
        """Remove the live line before other output goes to the terminal."""
        with self._lock:
            self._erase()

    def close(self) -> None:
        self._closing.set()
        if self._ticker is not None and self._ticker is not threading.current_thread():
            self._ticker.join(1.0)
            self._ticker = None
        with self._lock:
            self._erase()
            self._phases.clear()

    def tick(self) -> None:
        """Redraw or print a heartbeat; called by the ticker thread."""
        with self._lock:
            if self._live:
                self._draw()
            elif self._phases:
                self._beat(self._phases[-1])

    def _enter(self, name: str) -> _Phase:
        now = self._clock()
        phase = _Phase(name, now, now)
        with self._lock:
            self._phases.append(phase)
            if self._live:
                self._draw()
            else:
                self._write(f"{name} ...\n")
            if self._ticker is None and not self._closing.is_set():
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()
        return phase

    def _leave(self, phase: _Phase, how: str) -> None:
        with self._lock:
            if phase in self._phases:
                self._phases.remove(phase)
            seconds = self._clock() - phase.started_s
            self._erase()
            if not self._live or how.startswith("failed"):
                self._write(f"{phase.name}: {how} {seconds:.1f} s\n")
            self._draw()

    def _tick(self) -> None:
        period = _REDRAW_S if self._live else max(min(self._heartbeat_s / 4, 1.0), 0.01)
        while not self._closing.wait(period):
            self.tick()

    def _beat(self, phase: _Phase) -> None:
        now = self._clock()
        if now - phase.told_s < self._heartbeat_s:
            return
        phase.told_s = now
        self._write(f"{_line(phase, now)}\n")

    def _draw(self) -> None:
        if not self._live or not self._phases:
            return
        columns = shutil.get_terminal_size().columns
        text = _line(self._phases[-1], self._clock())[: columns - 1]
        shown = f"\x1b[2m{text}\x1b[0m" if self._colour else text
        self._write(f"{_ERASE}{shown}")
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._write(_ERASE)
            self._drawn = False

    def _write(self, text: str) -> None:
        # If the reader has gone, a verdict must not become a traceback.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def colour_wanted(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Whether to use colours: only on a terminal that can show them, and never with NO_COLOR."""
    return not env.get("NO_COLOR") and env.get("TERM") != "dumb" and _is_terminal(stream)


def is_live(stream: TextIO, env: Mapping[str, str]) -> bool:
    return _is_terminal(stream) and env.get("TERM", "dumb") != "dumb" and not env.get("CI")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def _line(phase: _Phase, now_s: float) -> str:
    detail = f": {phase.detail}" if phase.detail else ""
    return f"{phase.name} {now_s - phase.started_s:.0f} s{detail}"
