# SPDX-License-Identifier: GPL-2.0-only
"""A user's own workload: the files for the guest, and the meaning of its exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kvm.errors import UserError
from kvm.matrix.workload import Bench, CellSkipped
from kvm.matrix.workloads.user import guest_command, user_workload
from kvm.verdict.ktap import Case


@dataclass
class Output:
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode()


@dataclass
class FakeBench:
    """A machine whose command wrote this output and ended with this code."""

    code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    checks: dict[str, bool] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def boot(self, *command: str, files: object = ()) -> Output:
        return Output(self.stdout, self.stderr + f"\n@@tools-kvm exit {self.code}\n".encode())

    def check(self, name: str, ok: bool, note: str = "") -> None:
        self.checks[name] = ok

    def add(self, cases: tuple[Case, ...]) -> None:
        self.cases += cases


def run(bench: FakeBench) -> FakeBench:
    user_workload("mytest").run(cast(Bench, cast(Any, bench)))
    return bench


def test_a_command_line_stays_as_it_is() -> None:
    for text in ("dmesg | grep -c virtio", "/bin/sh -c 'exit 3'", "./not-there --x"):
        assert guest_command(text) == (text, ())


def test_a_program_here_goes_into_the_guest(tmp_path: Path) -> None:
    script = tmp_path / "my test.sh"
    script.write_text("#!/bin/sh\n")
    command, files = guest_command(f"'{script}' one 'two three'")
    assert command == "'/root/my test.sh' one 'two three'"
    assert [(extra.source, extra.target) for extra in files] == [(script, "/root/my test.sh")]


def test_bad_words_are_the_users_error() -> None:
    with pytest.raises(UserError, match="empty"):
        user_workload(" ")
    with pytest.raises(UserError, match="quot"):
        guest_command("echo 'half")


@pytest.mark.parametrize(
    ("code", "ok"), [(0, True), (1, False), (2, True), (3, True), (124, False), (139, False)]
)
def test_exit_codes_are_kselftests(code: int, ok: bool) -> None:
    assert run(FakeBench(code)).checks == {"the command ended": True, "exit code": ok}


def test_code_4_skips_with_its_reason() -> None:
    with pytest.raises(CellSkipped, match="no device"):
        run(FakeBench(4, stderr=b"no device\n"))


def test_ktap_in_its_output_becomes_results() -> None:
    bench = run(FakeBench(1, stdout=b"KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n"))
    assert [(case.name, case.status.value) for case in bench.cases] == [
        ("a", "pass"),
        ("b", "fail"),
    ]
    assert bench.checks["its report is whole"] and not bench.checks["exit code"]
