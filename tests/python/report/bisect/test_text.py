# SPDX-License-Identifier: GPL-2.0-only
"""The terminal's form: the answer first, a line for each step, and only text."""

from __future__ import annotations

from kvm.bisect.model import Report
from kvm.report.bisect.text import steps, text


def test_the_answer_and_its_blame_come_first(interaction: Report) -> None:
    lines = text(interaction).splitlines()
    assert lines[:4] == [
        "First bad commit: 292929292929 kvm, vmm: pass the event page's size in the hypercall",
        "  A U Thor <author@example.org>, 2025-03-14, touches kernel and VMM",
        "",
        "To blame: interaction: KVM (host side) and VMM",
    ]


def test_a_step_is_a_line(interaction: Report) -> None:
    assert steps(interaction)[1:3] == [
        " 2  bad   303030303030  15 left  reused  kvm: change number 48: kernel-oops: BUG: kernel"
        " NULL pointer dereference",
        " 3  skip  282828282828  7 left   3.0 s   kvm: change number 40: does not build: error: 'x'"
        " undeclared",
    ]


def test_it_says_how_sure_it_is_what_it_took_and_how_to_repeat(interaction: Report) -> None:
    shown = text(interaction)
    assert "in about 40 % of the runs: kernel-oops" in shown
    assert "signature: kernel-oops: virtblk_done, vring_interrupt" in shown
    assert "Confidence: 99 % for the whole answer" in shown
    assert "6 steps in 3 min 07 s; median step 13 s; built 2 kernels and 5 VMMs" in shown
    assert "1 step known from earlier runs" in shown
    assert "the patch: 0004-kvm-x86-pass-the-size.patch" in shown
    assert shown.endswith(f"To see it again:\n  {interaction.repeat}\n")


def test_a_range_names_all_that_is_left(ranged: Report) -> None:
    shown = text(ranged)
    assert shown.startswith("The first bad commit is one of 3:\n  020202020202 ")
    assert "can't tell, and were skipped" in shown
    assert "To blame: not known\n" in shown


def test_a_fix_is_called_one(fixed: Report) -> None:
    assert text(fixed).startswith("The commit that fixed it: 050505050505 vmm: fix the queue\n")


def test_without_steps_and_blame_it_is_short(bare: Report) -> None:
    assert len(text(bare).splitlines()) < 12
    assert "in every run: guest-exit" in text(bare)


def test_it_is_plain_text_whatever_others_wrote(any_report: Report) -> None:
    shown = text(any_report)
    assert shown.endswith("\n") and not shown.endswith("\n\n")
    assert all(line.isprintable() and line == line.rstrip() for line in shown.split("\n"))
