# SPDX-License-Identifier: GPL-2.0-only
"""kvm.lock: one holder at a time, named to those that wait, gone when the holder dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kvm import lock, process
from kvm.errors import UserError

_HOLD = """
import sys, time
from pathlib import Path
from kvm.lock import locked
with locked(Path(sys.argv[1]), "build"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_free_lock_has_no_holder(tmp_path: Path) -> None:
    assert lock.holder(tmp_path / "never-made") is None
    with lock.locked(tmp_path / "x", "build"):
        pass
    assert lock.holder(tmp_path / "x") is None


def test_holder_tells_purpose_and_process(tmp_path: Path) -> None:
    with lock.locked(tmp_path / "x", "build"):
        assert lock.holder(tmp_path / "x") == f"build (pid {os.getpid()})"


def test_lock_makes_its_folder(tmp_path: Path) -> None:
    with lock.locked(tmp_path / "deep" / "er" / "x", "build"):
        assert (tmp_path / "deep" / "er" / "x").is_file()


def test_lock_is_released_by_an_exception(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock.locked(tmp_path / "x", "build"):
        raise RuntimeError
    assert lock.holder(tmp_path / "x") is None


def test_the_first_free_lock_of_several_is_taken(tmp_path: Path) -> None:
    paths = (tmp_path / "one", tmp_path / "two")
    with lock.first_free(paths, "boot") as first, lock.first_free(paths, "boot") as second:
        assert (first, second) == paths
    with lock.first_free(paths, "boot") as again:
        assert again == first


def test_the_first_of_several_locks_is_waited_for_if_all_are_held(tmp_path: Path) -> None:
    paths = (tmp_path / "one", tmp_path / "two")
    said: list[str] = []
    with lock.locked(paths[1], "bisect"), contextlib.ExitStack() as stack:
        stack.enter_context(lock.locked(paths[0], "build"))
        threading.Timer(0.5, stack.close).start()
        with lock.first_free(paths, "boot", say=said.append) as taken:
            assert taken == paths[0]
    assert ["build" in text for text in said] == [True]


def test_waiter_gives_up_at_its_deadline_and_names_the_holder(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        lock.locked(tmp_path / "x", "bisect"),
        pytest.raises(UserError, match="bisect"),
        lock.locked(tmp_path / "x", "build", wait_s=0.3, say=said.append),
    ):
        pytest.fail("two holders at once")
    assert len(said) == 1, "the wait is announced once"
    assert "bisect" in said[0]


def test_waiter_goes_on_when_the_holder_leaves(tmp_path: Path) -> None:
    got_it = threading.Event()

    def wait() -> None:
        with lock.locked(tmp_path / "x", "second", wait_s=10, say=lambda _: None):
            got_it.set()

    waiter = threading.Thread(target=wait)
    with lock.locked(tmp_path / "x", "first"):
        waiter.start()
        assert not got_it.wait(0.3)
    waiter.join(10)
    assert got_it.is_set()


def test_killed_holder_leaves_no_stale_lock(tmp_path: Path) -> None:
    path = tmp_path / "x"
    source = Path(lock.__file__).parents[1]
    argv = (sys.executable, "-c", _HOLD, path)
    with process.spawn(argv, stdout=subprocess.PIPE, env={"PYTHONPATH": str(source)}) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert lock.holder(path) == f"build (pid {child.pid})"
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        assert lock.holder(path) is None
        with lock.locked(path, "next", wait_s=1):
            pass


_BUILD = """
import sys
from pathlib import Path
from kvm import process
from kvm.lock import locked
with locked(Path(sys.argv[1]), "a build", children=True):
    argv = ("sh", "-c", "echo started; exec sleep 1.5")
    process.run(argv, on_line=lambda line: print(line, flush=True))
"""


def test_what_a_killed_holder_started_keeps_the_next_one_waiting(tmp_path: Path) -> None:
    path = tmp_path / "x"
    argv = (sys.executable, "-c", _BUILD, str(path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        child.kill()
        child.wait()
        assert lock.holder(path) == f"a build (pid {child.pid})"
        with lock.locked(path, "the next build", wait_s=20, say=lambda text: None):
            assert lock.holder(path) == f"the next build (pid {os.getpid()})"
