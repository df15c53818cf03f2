# SPDX-License-Identifier: GPL-2.0-only
"""Which tests of a suite are run, on which machine, and why others are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite import plan as planning
from kvm.run.payload.suite.plan import Given, Plan, Selection
from kvm.verdict.vocabulary import Reason

Load = Callable[..., Plan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """``load(text, max_cpus=2, names="a b")``: the plan of a cfg beside ``here.flat``."""
    (tmp_path / "here.flat").write_bytes(b"\xf4")

    def make(text: str, names: str = "", groups: str = "", **given: object) -> Plan:
        (tmp_path / "unittests.cfg").write_text(text)
        options = PayloadOptions(tmp_path, host="lab")
        wanted = Given(options, **given)  # type: ignore[arg-type]
        return planning.load(wanted, Selection.of(names, groups))

    return make


def _section(name: str, *lines: str) -> str:
    return "\n".join([f"[{name}]", "file = here.flat", *lines, ""])


def test_a_section_becomes_a_machine(load: Load, tmp_path: Path) -> None:
    lines = (
        "smp = 3",
        "test_args = 'one two'",
        "qemu_params = -cpu max,-avx -m 1g",
        "timeout = 2m",
        "groups = g h",
        "check = /sys/a=Y /proc/b=0",
    )
    (test,) = load(_section("a", *lines)).tests
    assert test.options == replace(
        PayloadOptions(tmp_path / "here.flat", host="lab"),
        vcpus=3,
        append="one two",
        cpu="host,-avx?",
        memory_mib=1024,
        timeout_s=120.0,
        again=f"--suite {tmp_path} --host=lab -k a",
    )
    assert (test.groups, test.skip) == (("g", "h"), "")
    assert test.checks == ((Path("/sys/a"), "Y"), (Path("/proc/b"), "0"))
    assert test.qemu == ("-cpu", "max,-avx", "-m", "1g")


def test_what_a_section_leaves_open_is_the_users(load: Load) -> None:
    plan = load(_section("a"))
    assert plan.tests[0].options.timeout_s == 90.0
    assert plan.tests[0].options.memory_mib == 256
    (test,) = load(_section("a", "timeout = 30"), timeout_s=7.0).tests
    assert test.options.timeout_s == 7.0


def test_cpus_are_the_ceiling(load: Load) -> None:
    text = _section("fits", "smp = 2") + _section("most", "smp = $MAX_SMP")
    text += _section("more", "smp = 4")
    fits, most, more = load(text, max_cpus=3).tests
    assert (fits.options.vcpus, most.options.vcpus) == (2, 3)
    assert not fits.skip and not most.skip
    assert more.skip == "needs 4 vCPUs, --cpus allows 3"
    assert not load(text).tests[2].skip


def test_other_processors_are_left_out_by_name(load: Load) -> None:
    text = _section("a", "arch = i386") + _section("b", "arch = x86_64") + _section("c")
    plan = load(text)
    assert [test.name for test in plan.tests] == ["b", "c"]
    assert plan.left_out == ("a",)
    assert plan.known == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("groups = nodefault",), "runs when asked for: -k a"),
        (("accel = tcg",), "for accel=tcg only"),
        (("machine = q35",), "for machine=q35 only"),
        (("disabled_if = [[ 1 ]]",), "disabled_if = [[ 1 ]] is a shell's to decide"),
        (("groups = migration",), "needs a machine that can migrate"),
        (("test_args = `id`",), "test_args needs the output of `id`"),
        (("qemu_params = -device edu",), "this VMM has no word for -device edu"),
        (("qemu_params = -initrd gone",), "the module "),
    ],
)
def test_what_can_t_be_had_here_is_a_skip(load: Load, lines: tuple[str, ...], why: str) -> None:
    (test,) = load(_section("a", *lines)).tests
    assert test.skip.startswith(why)


def test_a_payload_that_is_not_built_is_a_skip_unless_none_is(load: Load) -> None:
    gone = "[gone]\nfile = gone.flat\n"
    _, test = load(_section("a") + gone).tests
    assert "gone.flat does not exist; build it" in test.skip
    assert test.skip.endswith("unittests.cfg:4)")
    with pytest.raises(UserError, match=r"unittests\.cfg:1: .*gone\.flat does not exist, nor does"):
        load(gone)


def test_a_payload_of_the_panic_group_is_to_panic(load: Load) -> None:
    (test,) = load(_section("a", "groups = panic")).tests
    assert test.options.expected is Reason.KERNEL_PANIC


def test_tests_are_chosen_by_name_pattern_and_group(load: Load) -> None:
    text = _section("vm_a", "groups = g") + _section("vm_b") + _section("c", "groups = nodefault g")
    chosen = {
        ("vm_a", ""): ["vm_a"],
        ("vm_*", ""): ["vm_a", "vm_b"],
        ("c,vm_b", ""): ["vm_b", "c"],
        ("", "g"): ["vm_a", "c"],
        ("vm_*", "g"): ["vm_a"],
    }
    for (names, groups), found in chosen.items():
        plan = load(text, names, groups)
        assert [test.name for test in plan.tests] == found
        assert not any(test.skip for test in plan.tests)


@pytest.mark.parametrize(
    ("names", "groups", "says"),
    [
        ("z*", "", "-k z*: no test is called that"),
        ("", "z", "-g z: there is no such group"),
        ("b", "g", "no test has such a name and such a group"),
    ],
)
def test_a_choice_of_nothing_is_refused(load: Load, names: str, groups: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        load(_section("a", "groups = g") + _section("b"), names, groups)
    assert refused.value.message == says


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ("[a]\nsmp = 2\n", 1, "[a] has no file"),
        (_section("a", "smp = many"), 3, "smp = many: many is not known"),
        (_section("a", "smp = 0"), 3, "smp = 0 is 0"),
        (_section("a", "smp = 256"), 3, "smp = 256 is 256"),
        (_section("a", "timeout = soon"), 3, "timeout = soon is no duration"),
        (_section("a", "check = there"), 3, "check = there names no file and value"),
        (_section("a", "test_args = 'x"), 3, "test_args: No closing quotation"),
        (_section("a", 'qemu_params = -m "1'), 3, "qemu_params: No closing quotation"),
    ],
)
def test_a_bad_value_is_named_with_its_line(load: Load, lines: str, line: int, says: str) -> None:
    with pytest.raises(UserError) as refused:
        load(lines)
    assert f"unittests.cfg:{line}: {says}" in refused.value.message
    assert refused.value.hint
