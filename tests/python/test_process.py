# SPDX-License-Identifier: GPL-2.0-only
"""kvm.process: results, deadlines, and no child left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvm import process
from kvm.errors import UserError

# A shell that starts a grandchild, prints its pid, and waits; both must end together.
_FAMILY = ("sh", "-c", "sleep 60 & echo $!; wait")


def _gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether ``pid`` ended (an unreaped zombie of another parent counts as ended)."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_run_merges_both_streams_in_order() -> None:
    done = process.run(("sh", "-c", "echo one; echo two >&2; echo three"))
    assert (done.output, done.returncode, done.ok) == ("one\ntwo\nthree\n", 0, True)


def test_run_shows_each_line_as_it_comes() -> None:
    seen: list[str] = []
    process.run(("printf", "a\\nb\\nlast"), on_line=seen.append)
    assert seen == ["a", "b", "last"]


def test_run_feeds_stdin_larger_than_a_pipe() -> None:
    data = b"x" * (1 << 20)
    assert process.run(("wc", "-c"), stdin=data).output.strip() == str(len(data))


def test_run_without_stdin_reads_end_of_file() -> None:
    assert process.run(("cat",), timeout_s=10).output == ""


def test_run_adds_to_the_environment() -> None:
    done = process.run(("sh", "-c", 'echo "$ADDED:$PATH"'), env={"ADDED": "yes"})
    assert done.output == f"yes:{os.environ['PATH']}\n"


def test_run_starts_in_the_given_folder(tmp_path: Path) -> None:
    assert process.run(("pwd", "-P"), cwd=tmp_path).output.strip() == str(tmp_path.resolve())


def test_failure_carries_command_status_and_last_words() -> None:
    with pytest.raises(process.CommandError) as caught:
        process.run(("sh", "-c", "echo the reason; exit 3"))
    assert caught.value.completed.returncode == 3
    assert "exited with 3" in str(caught.value)
    assert "the reason" in str(caught.value)


def test_unchecked_failure_is_a_result() -> None:
    assert process.run(("false",), check=False).returncode == 1


def test_death_by_signal_is_a_negative_status() -> None:
    done = process.run(("sh", "-c", "kill -KILL $$"), check=False)
    assert done.returncode == -signal.SIGKILL


def test_missing_program_names_it_and_the_mend() -> None:
    with pytest.raises(UserError, match="no-such-program") as caught:
        process.run(("no-such-program",))
    assert "doctor" in caught.value.hint


def test_output_that_is_not_utf8_is_kept_readable() -> None:
    assert "�" in process.run(("printf", "\\377")).output


def test_deadline_ends_the_whole_family() -> None:
    lines: list[str] = []
    start = time.monotonic()
    with pytest.raises(process.CommandError, match="longer than"):
        process.run(_FAMILY, timeout_s=0.5, on_line=lines.append)
    assert time.monotonic() - start < 10
    assert _gone(int(lines[0]))


def test_deadline_ends_a_child_that_ignores_sigterm() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(process.CommandError):
        process.run((sys.executable, "-c", stubborn), timeout_s=0.5)
    assert time.monotonic() - start < 10


def test_deadline_ends_a_grandchild_that_ignores_sigterm_and_keeps_the_output_open() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    family = f"{sys.executable} -c '{stubborn}' & echo $!; wait"
    lines: list[str] = []
    start = time.monotonic()
    with pytest.raises(process.CommandError):
        process.run(("sh", "-c", family), timeout_s=2, on_line=lines.append)
    assert time.monotonic() - start < 30
    assert _gone(int(lines[0]))


def test_capture_returns_stdout_alone() -> None:
    assert process.capture(("sh", "-c", "printf out; printf err >&2")) == b"out"


def test_capture_failure_shows_stderr() -> None:
    with pytest.raises(process.CommandError, match="what went wrong"):
        process.capture(("sh", "-c", "echo what went wrong >&2; exit 1"))


def test_leaving_spawn_ends_and_reaps_the_family() -> None:
    with process.spawn(_FAMILY, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
    assert child.returncode == -signal.SIGTERM
    assert _gone(grandchild)


def test_an_exception_in_spawn_still_reaps() -> None:
    with pytest.raises(RuntimeError), process.spawn(("sleep", "60")) as child:
        raise RuntimeError
    assert child.returncode is not None


_LOCALES = (
    {"LC_ALL": "C"},
    {"LC_ALL": "C.UTF-8"},
    {"LANG": "C.UTF-8", "LANGUAGE": "de:en"},
    {"LC_MESSAGES": "C.UTF-8", "LC_CTYPE": "C.UTF-8", "LANG": "de_DE"},
)


def _compile(folder: Path) -> str:
    """A compiler's message as in kbuild, which removes LC_ALL."""
    (folder / "a.c").write_text("int f(void) { return g; }\n")
    (folder / "Makefile").write_text("unexport LC_ALL\nall:\n\t@gcc -c a.c -o a.o\n")
    return process.run(("make", "-s", "-C", str(folder)), check=False).output


def test_what_is_read_is_said_in_one_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = set()
    for number, variables in enumerate(_LOCALES):
        with monkeypatch.context() as changed:
            for name in ("LC_ALL", "LC_MESSAGES", "LC_CTYPE", "LANG", "LANGUAGE"):
                changed.delenv(name, raising=False)
            for name, value in variables.items():
                changed.setenv(name, value)
            folder = tmp_path / str(number)
            folder.mkdir()
            said.add(_compile(folder).replace(str(folder), ""))
            words = process.capture(("sh", "-c", "cat /nowhere 2>&1; locale"))
            said.add(words.decode())
    assert len(said) == 2, said


def test_a_users_program_is_spoken_to_in_the_users_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    command = ("sh", "-c", "echo $LC_ALL")
    assert process.run(command).output == "C\n"
    assert process.run(command, env=process.UsersOwn()).output == "C.UTF-8\n"
    assert process.run(command, env={"LC_ALL": "POSIX"}).output == "POSIX\n"
