# SPDX-License-Identifier: GPL-2.0-only
"""The page's content, and that no text of others becomes markup in it."""

from __future__ import annotations

import re

from kvm.bisect.model import Report
from kvm.report.bisect.html.page import page
from support.markup import Reader


def test_nothing_others_wrote_becomes_markup(any_report: Report) -> None:
    reader = Reader(page(any_report))
    assert not reader.elements.keys() & {"script", "img", "iframe", "link", "object", "form"}
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert not reader.values("src")
    assert all(link.startswith("#") for link in reader.values("href"))
    assert any(value.startswith("default-src 'none'") for value in reader.values("content"))


def test_tags_are_balanced_and_ids_unique_and_links_lead_somewhere(any_report: Report) -> None:
    reader = Reader(page(any_report))
    assert (reader.open, reader.unbalanced) == ([], [])
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in reader.values("href")} <= set(ids)
    assert set(reader.values("aria-labelledby")) <= set(ids)
    assert ("html", "lang", "en") in reader.attributes
    assert reader.elements["h1"] == 1


def test_the_path_has_a_letter_and_a_word_for_each_stop(interaction: Report) -> None:
    strip = re.search(r'<ol class="path".*?</ol>', page(interaction))
    assert strip is not None
    letters = re.findall(r'<li class="(\S+?)( found)?">.*?>(\w)</b>.*?>(\w+) </span>', strip[0])
    assert [letter for _, _, letter, _ in letters] == list("GGGSGBBB")
    assert [word for _, _, _, word in letters if word != "good"] == ["skip", "bad", "bad", "bad"]
    assert [colour for colour, found, _, _ in letters if found] == ["v-fail"]
    assert "#step-4" in strip[0]
    assert "of 64 commits, oldest first" in page(interaction)
    assert page(interaction).count('class="track"') == 6


def test_without_places_there_is_no_bar_of_history(ranged: Report) -> None:
    shown = page(ranged)
    assert "in the order of asking" in shown
    assert 'class="track"' not in shown
    assert " found" not in "".join(re.findall(r'<ol class="path".*?</ol>', shown))


def test_blame_is_a_table_with_what_was_not_run(interaction: Report) -> None:
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', page(interaction))
    plain = [re.sub("<[^>]+>", " ", row).split() for row in rows]
    assert " ".join(plain[1]) == "KVM after, guest before not run B bad"
    assert " ".join(plain[3]) == "kernel after G good B bad 2 of 5 runs failed"


def test_the_title_names_the_answer(interaction: Report, ranged: Report, fixed: Report) -> None:
    assert "<title>First bad commit: 292929292929 kvm, vmm: pass" in page(interaction)
    assert "<title>The first bad commit is one of 3</title>" in page(ranged)
    assert "<title>The commit that fixed it: 050505050505 " in page(fixed)


def test_it_has_the_tag_the_failure_the_reproducer_and_the_log(interaction: Report) -> None:
    words = "".join(Reader(page(interaction)).words)
    assert 'Fixes: 292929292929 ("kvm, vmm: pass' in words
    assert "kernel-oops: virtblk_done, vring_interrupt" in words
    assert interaction.repeat in words
    assert "git bisect start '4040' '0000'" in words


def test_a_fix_has_no_tag_and_says_which_end_fails(fixed: Report) -> None:
    words = "".join(Reader(page(fixed)).words)
    assert "Fixes:" not in words
    assert "failing end" in words and "fixed end" in words


def test_neighbours_need_no_step(bare: Report) -> None:
    assert "No step was needed" in page(bare)
    assert "Was not looked for." in page(bare)


def test_the_page_is_the_same_each_time(any_report: Report) -> None:
    assert page(any_report) == page(any_report)
