# SPDX-License-Identifier: GPL-2.0-only
"""The one place that starts child processes.

Commands are tuples, never shell strings. Each child gets its own process group, so that a deadline
or Ctrl-C ends its children too, and it is always reaped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError

# Added to the caller's environment; None removes a variable.
Environment = Mapping[str, str | None]

# We parse output, so it must be in one language, whatever the user's is. LANG is removed rather
# than set, because kbuild removes LC_ALL.
_ONE_LANGUAGE: Environment = {
    "LC_ALL": "C",
    **dict.fromkeys(("LANG", "LANGUAGE", "LC_MESSAGES", "LC_CTYPE", "LC_COLLATE")),
    **dict.fromkeys(("LC_NUMERIC", "LC_TIME", "LC_MONETARY", "LC_PAPER", "LC_IDENTIFICATION")),
}


class UsersOwn(dict[str, str | None]):
    """The environment of a user's program, which should use the user's language."""


# Descriptors that every child also gets: locks that must outlive us as long as the child works.
inherited: set[int] = set()


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished command: its argv, exit status (negative = signal), output and duration."""

    argv: tuple[str, ...]
    returncode: int
    output: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.returncode == 0


class CommandError(UserError):
    """A command failed; has the whole result so that callers can show its output."""

    def __init__(self, completed: Completed, hint: str = "") -> None:
        tail = "\n".join(completed.output.strip().splitlines()[-15:])
        command = " ".join(completed.argv)
        super().__init__(f"`{command}` exited with {completed.returncode}\n{tail}", hint)
        self.completed = completed


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 600.0,
    cwd: Path | None = None,
    env: Environment | None = None,
    stdin: bytes | None = None,
    on_line: Callable[[str], None] | None = None,
    check: bool = True,
) -> Completed:
    """Run a command to its end, stdout and stderr merged into ``output``.

    ``env`` is added to the caller's environment. ``UsersOwn`` is for a user's program; all other
    programs use one language, because their output is parsed.
    ``on_line`` gets each line as it comes (for progress). Raises ``CommandError`` on a non-zero
    exit if ``check``, ``UserError`` if the program is missing or the deadline passes.
    """
    start = time.monotonic()
    lines: list[str] = []
    with (
        spawn(
            argv,
            cwd=cwd,
            env=_in_one_language(env),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child,
        _deadline(child, timeout_s) as expired,
    ):
        feeder = _feed(child, stdin)
        assert child.stdout is not None
        for raw in child.stdout:
            line = raw.decode(errors="replace")
            lines.append(line)
            if on_line is not None:
                on_line(line.rstrip("\n"))
        child.wait()
        if feeder is not None:
            feeder.join()
    completed = Completed(
        tuple(str(a) for a in argv), child.returncode, "".join(lines), time.monotonic() - start
    )
    if expired.is_set():
        raise CommandError(completed, f"it took longer than {timeout_s:.0f} s and was stopped")
    if check and not completed.ok:
        raise CommandError(completed)
    return completed


def _in_one_language(env: Environment | None) -> Environment:
    return env if isinstance(env, UsersOwn) else {**_ONE_LANGUAGE, **(env or {})}


def capture(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Environment | None = None,
    stdin: bytes | None = None,
    timeout_s: float = 120.0,
) -> bytes:
    """Only stdout, as bytes, of a quick command that must succeed; in one language."""
    start = time.monotonic()
    with (
        spawn(
            argv,
            cwd=cwd,
            env=_in_one_language(env),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child,
        _deadline(child, timeout_s),
    ):
        out, err = child.communicate(stdin)
    if child.returncode != 0:
        text = (err or out).decode(errors="replace")
        done = Completed(
            tuple(str(a) for a in argv), child.returncode, text, time.monotonic() - start
        )
        raise CommandError(done)
    return bytes(out)


@contextlib.contextmanager
def spawn(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Environment | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child in its own process group; at the end, kill the group and reap the child."""
    try:
        child = subprocess.Popen(
            [str(a) for a in argv],
            cwd=cwd,
            env=_environment(env) if env else None,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(*pass_fds, *inherited),
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise UserError(
            f"`{argv[0]}` was not found ({missing.filename})",
            "run ./invoke doctor to see what is missing",
        ) from missing
    try:
        yield child
    finally:
        if child.poll() is None:
            kill_group(child)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _environment(changes: Environment) -> dict[str, str]:
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def kill_group(child: subprocess.Popen[bytes], grace_s: float = 2.0) -> None:
    """Ask the child's process group to end, kill it after ``grace_s``, and reap the child.

    The whole group must end: a remaining grandchild would keep the child's output open.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            child.poll()
            os.killpg(child.pid, 0)
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(10)


@contextlib.contextmanager
def _deadline(child: subprocess.Popen[bytes], timeout_s: float) -> Iterator[threading.Event]:
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        kill_group(child)

    timer = threading.Timer(timeout_s, expire)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _feed(child: subprocess.Popen[bytes], data: bytes | None) -> threading.Thread | None:
    if data is None or child.stdin is None:
        return None
    pipe = child.stdin

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(data)

    feeder = threading.Thread(target=write, daemon=True)
    feeder.start()
    return feeder
