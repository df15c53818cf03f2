# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke boot`` between other programs: slow readers, no reader, and much to read."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm import process
from kvm.project import Project

pytestmark = pytest.mark.lab

LINES = b"".join(b"%d\n" % number for number in range(1, 300_001))
SEQ = ("seq", "1", "300000")
TIMEOUT_S = 8
LATE_S = 1.75 * TIMEOUT_S
DEADLINE_S = 200


@pytest.fixture
def invoke(project: Project, tmp_path: Path) -> Any:
    """``with invoke("--cpus", "2", command=(...), stdout=fd) as child``; stderr is a file."""

    @contextlib.contextmanager
    def run(
        *options: str, command: tuple[str, ...], stdout: int, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        words = ("boot", "--host", "lab", "--timeout", str(TIMEOUT_S), *options, "--", *command)
        argv: tuple[str | Path, ...] = (project.root / "invoke", *words)
        with (
            (tmp_path / "stderr").open("wb") as said,
            process.spawn(argv, stdin=stdin, stdout=stdout, stderr=said.fileno()) as child,
        ):
            yield child

    return run


def _read(fd: int) -> bytes:
    read = bytearray()
    with contextlib.suppress(OSError):  # EIO: the end of a terminal
        while data := os.read(fd, 1 << 16):
            read += data
    return bytes(read)


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_reader_that_stands_still_gets_every_byte(invoke: Any, tmp_path: Path, kind: str) -> None:
    ours, theirs = os.pipe() if kind == "pipe" else pty.openpty()
    if kind == "terminal":
        tty.setraw(theirs)
    with invoke(command=SEQ, stdout=theirs) as child:
        os.close(theirs)
        read = os.read(ours, 2)
        time.sleep(LATE_S)
        read += _read(ours)
        code = child.wait(DEADLINE_S)
    os.close(ours)
    said = (tmp_path / "stderr").read_text()
    assert code == 0, said
    assert read == LINES, said


def test_a_reader_that_has_seen_enough_is_left_in_peace(invoke: Any, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with invoke(command=SEQ, stdout=theirs) as child:
        os.close(theirs)
        assert os.read(ours, 2) == b"1\n"
        os.close(ours)
        code = child.wait(DEADLINE_S)
    said = (tmp_path / "stderr").read_text()
    assert code == 141, said
    for word in ("error", "Traceback", "FAIL", "failed"):
        assert word not in said


def test_what_nobody_reads_until_the_deadline_is_told(invoke: Any, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with invoke("--deadline", "45", command=SEQ, stdout=theirs) as child:
        code = child.wait(DEADLINE_S)
        os.close(theirs)
        read = _read(ours)
    os.close(ours)
    said = (tmp_path / "stderr").read_text()
    assert code == 125, said
    assert LINES.startswith(read)
    assert "bytes of the output were not read in time and are lost" in said


def test_much_input_costs_nobody_the_lab_host(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "much").write_bytes(bytes(24 << 20))
    with (
        (tmp_path / "much").open("rb") as much,
        (tmp_path / "out").open("wb") as out,
        invoke(command=("wc", "-c"), stdin=much.fileno(), stdout=out.fileno()) as child,
    ):
        code = child.wait(DEADLINE_S)
    assert code == 0, (tmp_path / "stderr").read_text()
    assert (tmp_path / "out").read_text().strip() == str(24 << 20)


def test_a_loop_reads_on_where_its_guest_has_stopped(invoke: Any, tmp_path: Path) -> None:
    """``while read line; do ./invoke boot -- sh -c "read mine"; done < list``"""
    (tmp_path / "list").write_bytes(LINES)
    with (tmp_path / "list").open("rb", 0) as lines, (tmp_path / "out").open("wb") as out:
        for options in ((), ("--no-stdin",)):
            before = os.lseek(lines.fileno(), 0, os.SEEK_CUR)
            with invoke(
                *options,
                command=("sh", "-c", "read one; read two; echo $two"),
                stdin=lines.fileno(),
                stdout=out.fileno(),
            ) as child:
                assert child.wait(DEADLINE_S) == 0, (tmp_path / "stderr").read_text()
            read = os.lseek(lines.fileno(), 0, os.SEEK_CUR) - before
            assert read == (0 if options else 4)
    assert (tmp_path / "out").read_text() == "2\n\n"
