# SPDX-License-Identifier: GPL-2.0-only
"""The files that a program of this machine needs to run in a guest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.guest.initramfs import is_static
from kvm.guest.programs import with_libraries


def test_a_dynamic_program_comes_with_its_loader_and_libraries() -> None:
    program = Path(sys.executable).resolve()
    if is_static(program):
        pytest.skip("this Python is static")
    first, *rest = with_libraries(program)
    assert (first.source, first.target) == (program, str(program))
    targets = [extra.target for extra in rest]
    assert any("/ld-" in target for target in targets), targets
    assert any("libc.so" in target for target in targets), targets
    assert all(extra.source.is_file() and not extra.source.is_symlink() for extra in rest)
    assert len(set(targets)) == len(targets)


def test_a_script_and_a_static_program_come_alone(tmp_path: Path, init: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    for program in (script, init):
        assert [extra.source for extra in with_libraries(program)] == [program]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone"):
        with_libraries(tmp_path / "gone")
