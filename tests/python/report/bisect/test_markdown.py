# SPDX-License-Identifier: GPL-2.0-only
"""The form for mails: tags at the line's start, text of others in code blocks that stay closed."""

from __future__ import annotations

import re

from kvm.bisect.model import Report
from kvm.report.bisect.markdown import fenced, markdown


def _outside(shown: str) -> list[str]:
    """The lines that are not in a code block, by CommonMark's rule for fences."""
    lines, fence = [], ""
    for line in shown.splitlines():
        if not fence:
            if re.fullmatch("```+", line):
                fence = line
            else:
                lines.append(line)
        elif re.fullmatch(f"{fence}`*", line):
            fence = ""
    assert not fence, "a code block is left open"
    return lines


def test_the_tag_stands_at_the_start_of_a_line(interaction: Report) -> None:
    tag = 'Fixes: 292929292929 ("kvm, vmm: pass the event page\'s size in the hypercall")'
    assert tag in markdown(interaction).splitlines()


def test_who_reports_it_is_left_to_the_sender(any_report: Report) -> None:
    assert not re.search(r"^Reported-by:", markdown(any_report), re.MULTILINE)


def test_a_range_and_a_fix_have_no_tag(ranged: Report, fixed: Report) -> None:
    assert "Fixes:" not in markdown(ranged) + markdown(fixed)
    assert "030303030303 kvm: change number 3\n" in markdown(ranged)
    assert "050505050505 vmm: fix the queue\n" in markdown(fixed)


def test_it_has_the_table_the_reproducer_and_the_log(interaction: Report) -> None:
    lines = markdown(interaction).splitlines()
    assert "|                         | VMM before | VMM after    |" in lines
    assert "|---|---|---|" in lines
    assert "| kernel after            | good       | bad (2 of 5) |" in lines
    assert interaction.repeat in lines
    assert interaction.command in lines
    assert "git bisect start '4040' '0000'" in lines
    assert "Confidence: 99 % for the whole answer." in lines


def test_a_short_one_has_no_empty_blocks(bare: Report) -> None:
    assert "bisect log" not in markdown(bare)
    assert "Was not looked for." in markdown(bare)
    assert "```\n\n```" not in markdown(bare)


def test_what_others_wrote_stays_in_its_code_blocks(hostile: Report) -> None:
    outside = _outside(markdown(hostile))
    assert not [line for line in outside if re.search("[<>@]|script|\x1b", line)]


def test_every_block_is_closed(any_report: Report) -> None:
    assert _outside(markdown(any_report))[0].startswith("## ")


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert fenced(["a"]) == "```\na\n```"
    assert fenced(["````", "``` x"]).startswith("`````\n")
