# SPDX-License-Identifier: GPL-2.0-only
"""Boots real machines in this checkout's lab host, by the same functions as the commands."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.boot import build_and_boot
from support.asked import boot_options
from support.machines import Boot, Output, Run, on_a_host_that_lasts


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find()


@pytest.fixture
def boot(project: Project) -> Boot:
    """``boot("sh", "-c", "...", vcpus=2)``: options are those of ``BootOptions``."""

    def run(*command: str, **options: Any) -> Run:
        return on_a_host_that_lasts(lambda: once(command, options))

    def once(command: tuple[str, ...], options: dict[str, Any]) -> Run:
        output = Output()
        chosen = {"host": "lab", "timeout_s": 20.0, "deadline_s": 240.0, **options}
        with Progress(live=False) as progress:
            record = build_and_boot(
                project, boot_options(command=command, **chosen).check(), progress, output.streams
            )
        return output.run(record)

    return run


@pytest.fixture
def tiny_kernel(tmp_path: Path) -> Callable[[bytes], Path]:
    """An ELF "kernel" of a few instructions at its entry, 16 MiB into memory."""

    def write(code: bytes) -> Path:
        entry, offset = 16 << 20, 0x1000
        header = struct.pack(
            "<16sHHIQQQIHHHHHH",
            b"\x7fELF\x02\x01\x01" + bytes(9),
            *(2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0),
        )
        load = struct.pack("<IIQQQQQQ", 1, 7, offset, entry, entry, len(code), len(code), 0x1000)
        path = tmp_path / "tiny.elf"
        path.write_bytes((header + load).ljust(offset, b"\0") + code)
        return path

    return write
