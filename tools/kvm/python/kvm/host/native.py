# SPDX-License-Identifier: GPL-2.0-only
"""This computer as a host: workers are child processes on its own /dev/kvm.

This is fast, but it tests this machine's KVM, not the tree's.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from kvm import process
from kvm.host.base import CommandTimeout, Event, Lease
from kvm.host.given import GivenClock, Kept
from kvm.host.inbox import Inbox
from kvm.spec.network import Forward

# -S: the site's hooks would put an editable install of this package before the artifact.
WORKER = ("-s", "-S", "-P", "-m", "kvm.vm.worker")

_READ_BYTES = 64 * 1024


class NativeSession:
    """A worker that is a child process; a thread reads its output and reaps it."""

    def __init__(self, artifact: Path, run_dir: Path) -> None:
        self._inbox = Inbox(run_dir)
        self._resources = contextlib.ExitStack()
        self._child = self._resources.enter_context(
            process.spawn(
                (sys.executable, *WORKER),
                cwd=run_dir,
                env={"PYTHONPATH": str(artifact)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        self.clock = GivenClock(Kept(self._child.pid))
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="vmm worker", daemon=True)
        self._reader.start()

    @property
    def exit_status(self) -> int | None:
        return self._inbox.exit_status

    @property
    def stderr_tail(self) -> str:
        return self._inbox.stderr_tail

    def events(self, timeout_s: float = 0.2) -> Iterator[Event | None]:
        for event in self._inbox.events(timeout_s):
            self.clock.look()
            yield event

    def send(self, message: Event) -> None:
        assert self._child.stdin is not None
        with self._sending, contextlib.suppress(BrokenPipeError, ValueError):
            self._child.stdin.write(json.dumps(message).encode() + b"\n")
            self._child.stdin.flush()

    def kill(self) -> None:
        if self._child.poll() is None:
            process.kill_group(self._child, grace_s=0)

    def close(self) -> None:
        self.kill()
        self._reader.join(10)
        self._resources.close()

    def _read(self) -> None:
        stdout, stderr = self._child.stdout, self._child.stderr
        assert stdout is not None
        assert stderr is not None
        partial = b""
        for stream, data in _chunks(stdout, stderr):
            if stream is stderr:
                self._inbox.put_text(data.decode(errors="replace"))
                continue
            *lines, partial = (partial + data).split(b"\n")
            for line in lines:
                self._inbox.put_line(line)
        if partial:
            self._inbox.put_text(partial.decode(errors="replace"))
        self._inbox.end(self._child.wait())


class NativeCommand:
    """A command that runs beside a worker; its output is kept in memory."""

    def __init__(self, argv: Sequence[str | Path], cwd: Path | None) -> None:
        self._resources = contextlib.ExitStack()
        self._output = self._resources.enter_context(os.fdopen(os.memfd_create("said"), "r+b"))
        self._running = self._resources.enter_context(contextlib.ExitStack())
        self._running.enter_context(
            process.spawn(
                argv,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=self._output.fileno(),
                stderr=subprocess.STDOUT,
            )
        )

    def stop(self) -> str:
        self._running.close()
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        self._resources.close()
        return text

    def close(self) -> None:
        self._resources.close()


class NativeHost:
    """This computer."""

    name = "native"
    boot_s = 0.0
    restored = False
    modules: Mapping[str, range] = {}
    console = ""
    disk_folders: tuple[Path, ...] = ()
    uplink = ""

    def __init__(self) -> None:
        self._sessions: list[NativeSession] = []
        self._commands: list[NativeCommand] = []

    def seen(self, path: Path) -> Path:
        return path

    def lend_ports(self, ports: Sequence[tuple[Forward, Forward]]) -> Lease:
        raise AssertionError("machines listen at this machine's ports themselves")

    def start(
        self, artifact: Path, spec: Event, run: Event | None, *, run_dir: Path
    ) -> NativeSession:
        run_dir.mkdir(parents=True, exist_ok=True)
        session = NativeSession(artifact, run_dir)
        self._sessions.append(session)
        session.send({"spec": spec, "run": run})
        return session

    @property
    def has_clone(self) -> bool:
        return False

    def clone(self, run: Event | None, *, run_dir: Path) -> None:
        """This host is not saved."""

    def run_command(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 600.0,
        on_output: Callable[[str], None] | None = None,
    ) -> tuple[int, str]:
        lines: list[str] = []

        def hear(line: str) -> None:
            lines.append(line + "\n")
            if on_output is not None:
                on_output(line)

        deadline = time.monotonic() + timeout_s
        try:
            done = process.run(
                argv, env=env, cwd=cwd, timeout_s=timeout_s, on_line=hear, check=False
            )
        except process.CommandError as failed:
            if time.monotonic() < deadline:
                raise
            raise CommandTimeout(argv, timeout_s, "".join(lines)) from failed
        return done.returncode, done.output

    def start_command(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None
    ) -> NativeCommand:
        command = NativeCommand(argv, cwd)
        self._commands.append(command)
        return command

    def kept(self) -> Kept:
        """Measure only stolen time: there are many processes, each with its own wait times."""
        return Kept(None)

    def distrust(self, why: str) -> None:
        """Do nothing: there is no other."""

    def close(self) -> None:
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        for command in self._commands:
            command.close()
        self._commands.clear()


def _chunks(*streams: IO[bytes]) -> Iterator[tuple[IO[bytes], bytes]]:
    """The output of all streams as it comes, until all have ended."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select():
                if data := os.read(key.fd, _READ_BYTES):
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)
