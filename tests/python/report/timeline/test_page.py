# SPDX-License-Identifier: GPL-2.0-only
"""The page's content, all of it inside the window, without markup from a guest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from kvm.report.timeline.model import Timeline
from kvm.report.timeline.page import render

Record = dict[str, Any]
Maker = Callable[..., Record]

_VOID = ("meta", "br")
_FORBIDDEN = {"script", "img", "iframe", "link", "object", "form", "a", "image", "use"}


class Reader(HTMLParser):
    """Collects elements with their attributes and text, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def names(self) -> Counter[str]:
        return Counter(name for name, _ in self.elements)

    def having(self, look: str) -> list[dict[str, str]]:
        return [attrs for _, attrs in self.elements if look in attrs.get("class", "").split()]


def _page(timeline: Timeline, **facts: str) -> str:
    return render(timeline, title="A boot", facts=facts)


@pytest.fixture
def text(booted: Timeline) -> str:
    return _page(booted, kernel="6.12.1")


def test_every_record_has_a_balanced_page(odd_records: list[Record]) -> None:
    for record in odd_records:
        reader = Reader(_page(Timeline.from_record(record)))
        assert (reader.open, reader.unbalanced) == ([], []), record
        assert reader.names["svg"] >= 2


def test_nothing_is_loaded_and_nothing_runs(text: str, hostile: Record) -> None:
    evil = render(Timeline.from_record(hostile), title="<script>", facts={"<script>": "<script>"})
    for page in (text, evil):
        reader = Reader(page)
        assert not reader.names.keys() & _FORBIDDEN
        attributes = {name for _, attrs in reader.elements for name in attrs}
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes & {"src", "href", "style", "xlink:href"}
        assert not re.search(r"url\(|@import|https?:", page)
        policy = reader.elements[3][1]
        assert policy["http-equiv"] == "Content-Security-Policy"
        assert policy["content"].startswith("default-src 'none';")


def test_hostile_names_are_text_and_short(hostile: Record) -> None:
    page = _page(Timeline.from_record(hostile))
    assert "<script" not in page
    assert "alert(1)" in "".join(Reader(page).words)
    assert "\x1b" not in page and "\u202e" not in page
    assert "x" * 100 not in page


def test_all_places_are_inside_of_the_drawing(odd_records: list[Record]) -> None:
    for record in odd_records:
        for name, attrs in Reader(_page(Timeline.from_record(record))).elements:
            shares = {key: float(value[:-1]) for key, value in attrs.items() if value.endswith("%")}
            assert all(-0.001 <= share <= 100.001 for share in shares.values()), (name, attrs)
            assert shares.get("x", 0.0) + shares.get("width", 0.0) <= 100.01, (name, attrs)


def test_a_bar_for_each_stage_level_and_long_initcall(booted: Timeline, text: str) -> None:
    reader = Reader(text)
    in_guest = [stage for stage in booted.stages if stage.start_s >= booted.entered_s]
    assert len(reader.having("l-stage")) == len(booted.stages) + len(in_guest)
    assert len(reader.having("l-even") + reader.having("l-odd")) == len(booted.levels)
    assert len(reader.having("l-call")) == len(booted.initcalls)
    assert "pci_init: 60.0 ms, from 100 ms" in text
    assert "1 shorter one took 0.30 ms together." in text


def test_bars_lie_where_their_times_are(booted: Timeline, text: str) -> None:
    bars = Reader(text).having("l-call")
    start = (0.1 - booted.entered_s) / 0.2
    assert float(bars[-1]["x"][:-1]) == pytest.approx(start * 100, abs=0.01)
    assert float(bars[-1]["width"][:-1]) == pytest.approx(0.06 / 0.2 * 100, abs=0.01)


def test_marks_are_labelled_lines_and_a_table(text: str) -> None:
    reader = Reader(text)
    assert (
        len(reader.having("mark-label")) == 5
    )  # the command's own mark is not in the guest's boot
    for words in ("warn check_flags", "init init", "mark ready"):
        assert words in reader.words


def test_a_mark_at_the_very_end_is_drawn(make: Maker) -> None:
    for at in range(1, 200):
        record = make([(at / 1e4, "panic", "the end", 0)], vmm_start=0.03, guest_init=None)
        record["timings_s"]["command"] = None
        reader = Reader(_page(Timeline.from_record(record)))
        assert len(reader.having("mark-label")) == 2, at


def test_the_worst_marks_keep_their_labels_among_many(make: Maker) -> None:
    events = [(0.001 * at, "mark", f"m{at}", 0) for at in range(500)]
    timeline = Timeline.from_record(make([*events, (0.45, "panic", "the end", 0)]))
    reader = Reader(_page(timeline))
    assert "panic the end" in reader.words
    assert len(reader.having("mark-label")) <= 24
    assert any("301 more left out" in words for words in reader.words)


def test_ten_thousand_initcalls_are_a_page_of_bounded_size(make: Maker) -> None:
    events: list[tuple[Any, ...]] = []
    for at in range(10_000):
        events.append((at * 0.002, "initcall_start", f"f{at}", 0))
        events.append((at * 0.002 + 0.001 + at * 1e-9, "initcall_finish", f"f{at}", 0))
        events.append((at * 0.002 + 0.0015, "level", f"l{at}", 0))
    events.append((21.0, "initcall_start", "hung_init", 0))
    page = _page(Timeline.from_record(make(events, guest_init=None, total=60.0)))
    assert len(page) < 400_000
    assert "9701 of the shortest are left out." in page
    assert "hung_init did not return" in "".join(Reader(page).words)


def test_an_unfinished_initcall_looks_different(make: Maker) -> None:
    timeline = Timeline.from_record(make([(0.1, "initcall_start", "hung_init", 0)], command=None))
    page = _page(timeline)
    assert len(Reader(page).having("l-open")) == 1
    assert "did not return" in page


def test_it_says_how_the_guest_told_or_why_it_did_not(make: Maker) -> None:
    expected = {
        "hypercall": "by hypercalls",
        "port": "through an I/O port",
        "none": "CONFIG_KVM_GUEST_EVENTS=y",
    }
    for source, words in expected.items():
        events = () if source == "none" else [(0.1, "init", "sh", 0)]
        page = _page(Timeline.from_record(make(events, source=source)))
        assert words in page
        assert f"<dt>events</dt><dd>{source}</dd>" in page


def test_without_events_the_known_stages_are_drawn(make: Maker) -> None:
    page = _page(Timeline.from_record(make((), source="none")))
    assert len(Reader(page).having("l-stage")) == 4
    assert "Slowest initcalls" not in page


def test_facts_are_shown(text: str) -> None:
    assert "<dt>kernel</dt><dd>6.12.1</dd>" in text
    assert "<title>A boot</title>" in text and "<h1>A boot</h1>" in text


def test_it_fits_a_phone_and_both_colour_schemes(text: str) -> None:
    assert "width=device-width, initial-scale=1" in text
    assert "prefers-color-scheme: dark" in text


def test_it_is_the_same_each_time(booted: Timeline, text: str) -> None:
    assert _page(booted, kernel="6.12.1") == text
