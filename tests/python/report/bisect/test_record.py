# SPDX-License-Identifier: GPL-2.0-only
"""The JSON form: its fields for scripts, and KCIDB's culprit."""

from __future__ import annotations

import json

import pytest

from kvm.bisect.model import Blame, Label, Report
from kvm.report.bisect.record import culprit, json_text, record


def test_an_answer_has_all_of_the_report(interaction: Report) -> None:
    found = record(interaction)
    assert (found["schema"], found["status"]) == (1, "found")
    assert found["first_bad"] == {
        "id": "29" * 20,
        "subject": "kvm, vmm: pass the event page's size in the hypercall",
        "author": "A U Thor <author@example.org>",
        "date": "2025-03-14",
        "halves": ["kernel", "vmm"],
        "fixes": 'Fixes: 292929292929 ("kvm, vmm: pass the event page\'s size in the hypercall")',
    }
    assert found["candidates"] == []
    assert found["timings_s"] == {"total": 187.4, "median_step": 13.0}
    assert found["built"] == {"kernels": 2, "vmms": 5}
    assert (found["reused"], found["confidence"]) == (1, 0.99)
    assert (found["log"], found["repeat"]) == (interaction.log, interaction.repeat)
    assert found["failure"]["reason"] == "kernel-oops"
    assert (found["failure"]["rate"], found["failure"]["steady"]) == (0.4, False)


def test_blame_has_its_table(interaction: Report) -> None:
    blame = record(interaction)["blame"]
    assert (blame["label"], blame["parts"]) == ("interaction", ["kvm (host)", "vmm"])
    assert blame["patch"] == "0004-kvm-x86-pass-the-size.patch"
    assert blame["table"][3]["changed"] == ["kvm (host)", "guest", "vmm"]
    assert (blame["table"][3]["bad_runs"], blame["table"][3]["good_runs"]) == (2, 3)


def test_steps_are_in_the_order_of_asking(interaction: Report, ranged: Report) -> None:
    steps = record(interaction)["steps"]
    assert [(step["mark"], step["left"], step["at"]) for step in steps[:3]] == [
        *(("good", 31, 32), ("bad", 15, 48), ("skip", 7, 40))
    ]
    assert steps[1]["reused"]
    assert record(ranged)["steps"][0]["at"] is None


def test_a_range_has_candidates_and_no_answer(ranged: Report) -> None:
    found = record(ranged)
    assert (found["status"], found["first_bad"]) == ("range", None)
    assert [commit["id"][:2] for commit in found["candidates"]] == ["02", "03", "04"]


def test_what_fixed_it_has_no_fixes_tag(fixed: Report) -> None:
    found = record(fixed)
    assert found["fix"]
    assert found["first_bad"]["fixes"] is None


@pytest.mark.parametrize(
    ("label", "code", "tool"),
    [
        (Label.KERNEL, True, False),
        (Label.VMM, False, True),
        (Label.INTERACTION, True, True),
        (Label.EITHER, True, True),
        (Label.UNKNOWN, False, False),
    ],
)
def test_the_culprit_is_code_for_the_kernel_and_tool_for_the_vmm(
    label: Label, code: bool, tool: bool
) -> None:
    assert culprit(Blame(label, "")) == {"code": code, "tool": tool, "harness": False}


def test_without_blame_there_is_no_culprit(bare: Report) -> None:
    assert record(bare)["blame"] is None
    assert record(bare)["culprit"] == {"code": False, "tool": False, "harness": False}
    assert record(bare)["timings_s"]["median_step"] == 0


def test_any_text_survives_json(any_report: Report) -> None:
    shown = json_text(any_report)
    assert shown.isascii()
    assert json.loads(shown) == record(any_report)
