# SPDX-License-Identifier: GPL-2.0-only
"""A second checkout: the current files of this one, with results and lab hosts of its own.

It shares this one's kernel tree and cache, so what was built before is not built again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from kvm.lock import holder
from kvm.project import Project


@dataclass(frozen=True)
class Scratch:
    """The second checkout at ``root``."""

    root: Path
    origin: Path

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def environment(self) -> dict[str, str]:
        """Variables for its commands, in addition to the caller's."""
        return {
            "KERNEL_TREE": os.environ.get("KERNEL_TREE") or str(self.origin / "linux" / "tree"),
            "PYTHONPATH": str(self.root / "tools" / "kvm" / "python"),
        }

    def start(self, *words: str, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        """Run ``./invoke WORDS`` in it, in a process group of its own."""
        environment = {**os.environ, **self.environment}
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS"):
            environment.pop(name, None)
        return subprocess.Popen(
            (sys.executable, "-m", "invoke", *words),
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, timeout_s: float = 240) -> tuple[int, str]:
        """Run a command to its end; return its exit code and output."""
        with self.start(*words) as child:
            try:
                output, _ = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                raise
        return child.returncode, output

    def processes(self) -> dict[int, str]:
        """Processes with its path in their command line, except the test's own."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            if str(self.root) in words:
                found[int(entry.name)] = words
        return found

    def await_none_left(self, within_s: float) -> None:
        """Fail if one of its processes still runs after that time."""
        deadline = time.monotonic() + within_s
        while left := self.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.5)

    @property
    def matrix_is_running(self) -> bool:
        return holder(self.build / "matrix" / "lock") is not None


def make(root: Path) -> Scratch:
    """Copy this checkout's files, also uncommitted ones."""
    origin = Project.find().root
    listed = subprocess.run(
        ("git", "ls-files", "-zco", "--exclude-standard"),
        cwd=origin,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = origin / name, root / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return Scratch(root, origin)
