# SPDX-License-Identifier: GPL-2.0-only
"""A bisection that is killed at every step, and resumed each time, gives the same answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.lock import locked
from support.history import KERNEL, Bisect, History

_SCRIPT = """
import sys
from pathlib import Path
from kvm.bisect.request import Request
from kvm.commands import bisect as command
from kvm.commands.words import BisectWords
from kvm.spec.fields import read
from kvm.project import Project
from kvm.output.progress import Progress
typed = eval(sys.argv[2])
asked = read(Request, typed, argv=typed["argv"]), read(BisectWords, typed)
sys.exit(command.main(Project(Path(sys.argv[1])), Progress(live=False), *asked))
"""


def run(history: History, words: dict[str, object]) -> int:
    """Run the command in a process of its own; return its exit status."""
    package = Path(__file__).parents[3] / "tools" / "kvm" / "python"
    return subprocess.run(
        (sys.executable, "-c", _SCRIPT, str(history.root), repr(words)),
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        timeout=120,
        check=False,
    ).returncode


def test_killed_at_every_step_it_finds_the_same(
    history: History, tmp_path: Path, bisect_words: dict[str, object]
) -> None:
    good = history.head
    for number in range(12):
        history.commit(f"filler {number}", kernel=f"{number}\n")
    culprit = history.commit("break it", kernel="bug\n", vmm="too\n")
    for number in range(6):
        history.commit(f"filler {number}", kernel=f"bug {number}\n")
    # Each run of the test kills the bisection, unless it is the second at its commit.
    script = (
        f"echo x >>{tmp_path}/runs; n=$(wc -l <{tmp_path}/runs); "
        f"[ $((n % 2)) = 1 ] && kill -9 $PPID; ! grep -q bug {KERNEL}"
    )
    before = history.state()
    answer = tmp_path / "report.json"
    words = {**bisect_words, "json": str(answer)}
    kills = 0
    code = run(history, {**words, "good": good, "argv": ("sh", "-c", script)})
    while code == -signal.SIGKILL:
        kills += 1
        assert kills < 40
        assert history.state() == before
        code = run(history, {**words, "resume": True, "argv": ()})
    assert code == 0 and kills >= 6
    report = json.loads(answer.read_text())
    assert report["first_bad"]["id"] == culprit
    assert report["blame"]["label"] == "kernel"
    assert history.state() == before


def test_nothing_interrupted_is_nothing_to_resume(history: History, bisect: Bisect) -> None:
    good = history.head
    history.commit("break it", kernel="bug\n")
    bisect(f"! grep -q bug {KERNEL}", good=good)
    with pytest.raises(UserError, match="no interrupted bisection"):
        bisect("", resume=True)


def test_two_at_once_are_refused(history: History, bisect: Bisect) -> None:
    good = history.head
    history.commit("break it", kernel="bug\n")
    lock = history.project.build / "bisect" / "lock"
    with (
        locked(lock, "the other one"),
        pytest.raises(UserError, match="lock is held by the other one"),
    ):
        bisect("false", good=good)
