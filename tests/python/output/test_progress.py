# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest

from kvm.output.progress import Progress, colour_wanted


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_mode_marks_start_and_end() -> None:
    out, clock = io.StringIO(), Clock()
    with Progress(out, clock=clock) as progress:
        with progress.phase("kernel") as update:
            update("CC virt/kvm/kvm_main.o (123/1532)")
            clock.now = 4.84
        progress.note("booting")
    assert out.getvalue() == "kernel ...\nkernel: done in 4.8 s\nbooting\n"


def test_plain_mode_beats_on_long_phases_with_the_detail() -> None:
    out, clock = io.StringIO(), Clock()
    with Progress(out, clock=clock) as progress, progress.phase("kernel") as update:
        update("CC a.o (1/9)")
        for now in (10.0, 31.0, 45.0, 62.0):
            clock.now = now
            progress.tick()
    assert out.getvalue().splitlines() == [
        "kernel ...",
        "kernel 31 s: CC a.o (1/9)",
        "kernel 62 s: CC a.o (1/9)",
        "kernel: done in 62.0 s",
    ]


def test_heartbeat_comes_by_itself() -> None:
    out = io.StringIO()
    with Progress(out, heartbeat_s=0.05) as progress, progress.phase("boot"):
        deadline = time.monotonic() + 5
        while out.getvalue().count("boot 0 s") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert out.getvalue().count("boot 0 s") >= 2


def test_a_reader_that_left_is_no_failure() -> None:
    out = io.StringIO()
    with pytest.raises(BrokenPipeError), Progress(out) as progress, progress.phase("boot"):
        raise BrokenPipeError
    assert "failed" not in out.getvalue()


def test_failed_phase_says_so_and_the_error_goes_on() -> None:
    out = io.StringIO()
    with pytest.raises(RuntimeError), Progress(out) as progress, progress.phase("boot"):
        raise RuntimeError
    assert "boot: failed after 0.0 s\n" in out.getvalue()


def test_live_line_is_redrawn_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out, clock = Terminal(), Clock()
    with Progress(out, live=True, clock=clock) as progress:
        with progress.phase("kernel") as update:
            update("a detail that is far too long\x1b[31m\n")
            progress.tick()
        progress.note("kept")
    drawn = out.getvalue()
    assert "kernel 0 s: a detai" in drawn.replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert "far too long" not in drawn
    assert drawn.count("\n") == 1
    assert drawn.endswith("\r\x1b[2Kkept\n") or drawn.endswith("kept\n")


def test_nested_phases_return_to_the_outer_one() -> None:
    out, clock = io.StringIO(), Clock()
    with Progress(out, clock=clock) as progress, progress.phase("host"):
        with progress.phase("boot"):
            clock.now = 1.0
        clock.now = 40.0
        progress.tick()
    assert "host 40 s\n" in out.getvalue()


def test_closed_stream_is_survived() -> None:
    out = io.StringIO()
    progress = Progress(out)
    out.close()
    with progress.phase("boot"):
        progress.note("x")
    progress.close()
    progress.close()


def test_terminal_is_recognised_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    out = Terminal()
    with Progress(out) as progress, progress.phase("x"):
        pass
    assert "\r" in out.getvalue()
    monkeypatch.setenv("CI", "true")
    out = Terminal()
    with Progress(out) as progress, progress.phase("x"):
        pass
    assert "\r" not in out.getvalue()


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colour_follows_no_color_and_term(env: dict[str, str], wanted: bool) -> None:
    assert colour_wanted(Terminal(), env) is wanted
    assert not colour_wanted(io.StringIO(), env)


def test_importing_progress_imports_no_rich() -> None:
    check = "import sys, kvm.output.progress, kvm.report.closing; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
