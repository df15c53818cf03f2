# SPDX-License-Identifier: GPL-2.0-only
"""Any kind of file that a user names is written, and keeps its kind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kvm.output import open_file
from kvm.output.open_file import OpenFile, descriptor
from kvm.project import Project

TEXT = b"0123456789" * 20_000  # more than a pipe holds


def write(path: Path, data: bytes = TEXT) -> None:
    with OpenFile(str(path)) as file:
        file.write(data)


def test_a_file_has_the_new_text_alone_and_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(TEXT * 2)
    path.chmod(0o640)
    write(path, b"short")
    assert path.read_bytes() == b"short"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_new_file_and_its_folder_are_made(tmp_path: Path) -> None:
    write(tmp_path / "new" / "r")
    assert (tmp_path / "new" / "r").read_bytes() == TEXT


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_stays_one(tmp_path: Path, exists: bool) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    if exists:
        real.write_text("old")
    link.symlink_to(real)
    write(link)
    assert (link.is_symlink(), real.read_bytes()) == (True, TEXT)


def test_a_second_name_of_a_file_stays_its_name(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old")
    second.hardlink_to(first)
    write(first)
    assert second.read_bytes() == TEXT


def test_a_character_device_stays_one(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, Path("/dev/null").stat().st_rdev)
        device.read_bytes()
    except PermissionError:
        pytest.skip("this user makes no devices")
    write(device)
    assert device.is_char_device()


def test_a_terminal_is_written_to() -> None:
    ours, theirs = os.openpty()
    try:
        write(Path(os.ttyname(theirs)), b"text")
        assert os.read(ours, 100) == b"text"
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("reader_s", [0.0, 0.3])
def test_a_fifo_stays_one_whenever_its_reader_comes(tmp_path: Path, reader_s: float) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    found: list[bytes] = []
    reader = threading.Timer(reader_s, lambda: found.append(fifo.read_bytes()))
    reader.daemon = True
    reader.start()
    write(fifo)
    reader.join(10)
    assert (found, fifo.is_fifo()) == ([TEXT], True)


def test_a_fifo_that_nobody_reads_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_file, "READER_S", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device or address"):
        write(tmp_path / "fifo")


def test_nothing_is_left_of_a_file_that_was_not_needed(tmp_path: Path) -> None:
    with OpenFile(str(tmp_path / "r")):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_a_descriptor_is_written_where_it_stands(tmp_path: Path, name: str) -> None:
    """It is written behind the existing content, as with a shell's ``>&1``."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    target = str(tmp_path / name) if name == "link" else name
    code = (
        "import sys; from kvm.output.targets import opened\n"
        "with opened(sys.argv[1]) as outputs:\n"
        "    print('before', flush=True); outputs.put(sys.argv[1], 'the report\\n')\n"
        "print('after')\n"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            (sys.executable, "-c", code, target),
            stdout=out,
            env={**os.environ, "PYTHONPATH": str(Project.find().root / "tools/kvm/python")},
            check=True,
            timeout=60,
        )
    assert (tmp_path / "out").read_text() == "before\nthe report\nafter\n"


def test_what_is_no_descriptor_of_ours_has_no_number(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    names = (f"/proc/{os.getppid()}/fd/1", "/dev/null", "/proc/self/fd/x", str(tmp_path / "loop"))
    assert [descriptor(name) for name in names] == [None] * 4
