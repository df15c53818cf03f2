# SPDX-License-Identifier: GPL-2.0-only
"""Plans expand as intended, and mistakes are named with their lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix import plan as plans
from kvm.matrix.plan import Plan

GOOD = """\
schema = 1

[axes]
host = ["lab", "native"]
config = ["default", "debug"]
vcpus = [1, 2]
memory = [256, 512]
transport = ["mmio"]
ring = ["split"]
devices = ["standard", "norng"]
cmdline = ["plain", "quiet"]
workload = ["boot", "smp"]

[devices]
standard = {}
norng = { rng = false }

[cmdline]
plain = ""
quiet = "quiet"

[[exclude]]
why = "one CPU has nobody to talk to"
workload = "smp"
vcpus = 1

[subset.smoke]
title = "quick"
[[subset.smoke.include]]
workload = "*"
vcpus = [1, 2]

[subset.full]
[[subset.full.include]]
workload = "boot"
devices = "*"
cmdline = "quiet"
[[subset.full.exclude]]
devices = "standard"
"""

Load = Callable[[str], Plan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str) -> Plan:
        path = tmp_path / "matrix.toml"
        path.write_text(text)
        return plans.load(path, ("boot", "smp"))

    return from_text


def test_unmentioned_axes_have_their_first_value(load: Load) -> None:
    ids = [cell.id for cell in load(GOOD).cells("smoke")]
    assert ids == ["lab-vcpus1-mmio-boot", "lab-vcpus2-mmio-boot", "lab-vcpus2-mmio-smp"]


def test_a_cell_knows_what_its_values_stand_for(load: Load) -> None:
    (cell,) = load(GOOD).cells("full")
    assert cell.id == "lab-vcpus1-mmio-norng-quiet-boot"
    assert (cell.rng, cell.append) == (False, "quiet")


def test_an_unknown_subset_names_those_there_are(load: Load) -> None:
    with pytest.raises(UserError, match="no such subset") as wrong:
        load(GOOD).cells("ful")
    assert "smoke, full" in wrong.value.hint


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("vcpus = [1, 2]\nmemory", "vcpus = [1, 0]\nmemory", 6, "0 vcpus"),
        ("vcpus = [1, 2]\nmemory", 'vcpus = [1, "2"]\nmemory', 6, "not a number"),
        ("memory = [256, 512]", "memory = [256,\n  9999]", 8, "9999 MiB"),
        ('["lab", "native"]', '["lab", "moon"]', 4, "unknown host 'moon'"),
        ('workload = ["boot", "smp"]', 'workload = ["boot", "swim"]', 12, "no workload 'swim'"),
        ("transport =", "transports =", 8, "unknown axis 'transports'"),
        ('transport = ["mmio"]', 'transport = ["vme"]', 8, "unknown transport 'vme'"),
        ('ring = ["split"]', 'ring = ["round"]', 9, "unknown ring 'round'"),
        ('["plain", "quiet"]', '["plain", "loud"]', 11, "cmdline 'loud' is not defined"),
        ("rng = false", "rng = 7", 16, "bad device setting"),
        ("vcpus = 1\n", "vcpu = 1\n", 25, "unknown axis 'vcpu'"),
        ('cmdline = "quiet"', 'cmdline = "loud"', 37, "cmdline has no value 'loud'"),
        ("[subset.full]", "[subset.full]\nname = 3", 34, "unknown key 'name'"),
        ("schema = 1", "schema = 2", 1, "schema is not 1"),
        ("[devices]", "[gadgets]", 14, "unknown table 'gadgets'"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    load: Load, before: str, after: str, line: int, words: str
) -> None:
    assert before in GOOD
    with pytest.raises(UserError, match=words) as wrong:
        load(GOOD.replace(before, after))
    assert f"matrix.toml:{line}:" in wrong.value.message, wrong.value.message


def test_broken_toml_says_where(load: Load) -> None:
    with pytest.raises(UserError, match="line 3"):
        load("schema = 1\n\n[axes\n")


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml does not exist"):
        plans.load(tmp_path / "none.toml", ())
