# SPDX-License-Identifier: GPL-2.0-only
"""The table of verdicts beside QEMU's: how QEMU is started, and the meaning of its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.bench import payloads
from kvm.bench.payloads import Pair
from kvm.commands import bench as command
from kvm.commands.words import BenchWords
from kvm.errors import UserError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite.plan import Plan, SuiteTest
from kvm.verdict.ktap import Case, Status


def _test(*qemu: str, **options: object) -> SuiteTest:
    chosen = PayloadOptions(Path("a.flat"), **options)  # type: ignore[arg-type]
    return SuiteTest("a", "unittests.cfg:1", chosen, qemu=qemu)


def test_qemu_gets_the_payload_its_machine_and_the_cfgs_own_words() -> None:
    test = _test("-cpu", "max,-avx", "-device", "edu", vcpus=2, append="one two", memory_mib=64)
    argv = payloads.qemu_argv(test, Path("/staged/a.flat"), None)
    text = " ".join(map(str, argv))
    assert "-machine accel=kvm" in text
    assert "-device pc-testdev" in text
    assert "-kernel /staged/a.flat -smp 2" in text
    assert argv[argv.index("-append") + 1] == "one two"
    assert text.endswith("-m 64 -cpu max,-avx -device edu")


def test_what_the_cfgs_words_say_too_is_given_once() -> None:
    test = _test("-m", "1g", "-append", "old", "-initrd", "env", append="old")
    argv = payloads.qemu_argv(test, Path("a.flat"), Path("/staged/env"))
    assert [argv.count(word) for word in ("-m", "-append", "-initrd")] == [1, 1, 1]
    assert argv[argv.index("-initrd") + 1] == Path("/staged/env")


@pytest.mark.parametrize(
    ("code", "output", "status"),
    [
        (1, "PASS: x\n", Status.PASS),
        (1, "qemu-system-x86_64: warning: host doesn't support it\nPASS: x\n", Status.PASS),
        (1, "qemu-system-x86_64: -device edu2: 'edu2' is not a valid device\n", Status.SKIP),
        (3, "FAIL: x\n", Status.FAIL),
        (77, "SKIP: x\n", Status.SKIP),
        (127, "abort\n", Status.FAIL),
        (0, "", Status.FAIL),
        (134, "", Status.FAIL),
    ],
)
def test_qemus_exit_code_is_the_payloads_word(code: int, output: str, status: Status) -> None:
    case = payloads.peer_case("a", code, output)
    assert case.status is status
    if "edu2" in output:
        assert case.note == "QEMU: -device edu2: 'edu2' is not a valid device"


def test_the_table_and_the_json_have_both_sides() -> None:
    same = Case("same", Status.PASS)
    pairs = [
        Pair("same", same, 1.04, same, 2.0),
        Pair("other", Case("other", Status.SKIP, "no word for it"), None, same, 3.0),
    ]
    lines = payloads.table(pairs).splitlines()
    assert lines[1].split() == ["same", "PASS", "1.0", "s", "PASS", "2.0", "s"]
    assert lines[2].split() == ["other", "SKIP", "PASS", "3.0", "s", "*"]
    assert lines[3] == "* other: no word for it | PASS"
    assert lines[4:] == ["tools-kvm: 1 pass, 1 skip of 2", "qemu: 2 pass of 2"]
    found = payloads.to_json(Plan(Path("/suite/unittests.cfg"), ()), pairs)
    assert found["counts"] == {"tools-kvm": {"pass": 1, "skip": 1}, "qemu": {"pass": 2}}
    assert found["tests"][1]["tools-kvm"] == {
        "status": "skip",
        "note": "no word for it",
        "seconds": None,
    }


@pytest.mark.parametrize(
    ("what", "suite", "says"),
    [
        ("payloads", "", "bench payloads needs --suite"),
        ("boot", "somewhere", "--suite with bench boot"),
        ("nothing", "", "there is no bench 'nothing'"),
    ],
)
def test_a_suite_goes_with_payloads_alone(what: str, suite: str, says: str) -> None:
    with Progress(live=False) as progress, pytest.raises(UserError, match=says):
        command.run(Project.find(), progress, BenchWords(what, runs=1, suite=suite))
