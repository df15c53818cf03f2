# SPDX-License-Identifier: GPL-2.0-only
"""The timeline as text fits its width, and is in order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from kvm.report.timeline.model import Timeline
from kvm.report.timeline.terminal import render

Record = dict[str, Any]
Maker = Callable[..., Record]

_WIDE_NAME = "長い名前" * 30


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_the_whole_of_a_boot(booted: Timeline) -> None:
    lines = render(booted, width=60, colour=False).splitlines()
    assert lines[:8] == [
        "Stages, 350 ms in all",
        "VMM start     30.0 ms  ███",
        "loader        20.0 ms     ██",
        "  kernel and initrd into guest memory",
        "early boot     2.0 ms       ▏",
        "initcalls      108 ms       ████████████",
        "init          90.0 ms                  ██████████",
        "command        100 ms                            ███████████",
    ]
    assert "Slowest initcalls" in lines
    assert "1 below 1 ms took 0.30 ms together" in lines
    assert "   200 ms  init   init" in lines
    assert lines[-1] == "The guest's kernel told of its boot by hypercalls."


def test_stage_bars_stand_one_behind_the_other(booted: Timeline) -> None:
    lines = render(booted, width=80, colour=False).split("\n\n")[0].splitlines()
    starts = [re.search("[█▏]", line) for line in lines]
    places = [found.start() for found in starts if found is not None]
    assert len(places) == 6
    assert places == sorted(places)


def test_initcall_bars_are_in_proportion(booted: Timeline) -> None:
    lines = render(booted, width=100, colour=False).splitlines()
    bars = {line.split()[0]: line.count("█") for line in lines if "_init " in line}
    assert bars["pci_init"] > 60
    assert bars["outer_init"] == pytest.approx(bars["pci_init"] / 6, abs=1)


@pytest.mark.parametrize("width", [0, 1, 7, 20, 40, 80, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_asked(
    odd_records: list[Record], make: Maker, width: int, colour: bool
) -> None:
    wide = make([(0.1, kind, _WIDE_NAME, 0) for kind in ("initcall_start", "warn", "level")])
    for record in [make(), wide, *odd_records]:
        text = render(Timeline.from_record(record), width=width, colour=colour)
        plain = re.sub(r"\x1b\[\d+m", "", text)
        assert max(map(_columns, plain.splitlines())) <= max(width, 1)
        assert plain.endswith("\n")


def test_escape_sequences_come_with_colour_alone(booted: Timeline, hostile: Record) -> None:
    for timeline in (booted, Timeline.from_record(hostile)):
        plain = render(timeline, width=80, colour=False)
        assert "\x1b" not in plain
        coloured = render(timeline, width=80, colour=True)
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[\d+m", "", coloured).replace(" ", "") == plain.replace(" ", "")


def test_names_of_guests_do_not_control_a_terminal(hostile: Record) -> None:
    text = render(Timeline.from_record(hostile), width=120, colour=False)
    assert all(c == "\n" or c.isprintable() for c in text)


def test_an_initcall_that_hangs_is_first_and_said_to_hang(make: Maker) -> None:
    events = [
        (0.01, "initcall_start", "good_init", 0),
        (0.02, "initcall_finish", "good_init", 0),
        (0.03, "initcall_start", "hung_init", 0),
    ]
    record = make(events, guest_init=None, command=None)
    lines = render(Timeline.from_record(record), width=80, colour=False).splitlines()
    at = lines.index("Slowest initcalls")
    assert lines[at + 1].startswith("hung_init")
    assert lines[at + 2] == "  did not return"


def test_without_events_it_says_why(make: Maker) -> None:
    text = render(Timeline.from_record(make((), source="none")), width=80, colour=False)
    assert "CONFIG_KVM_GUEST_EVENTS=y" in text
    assert "Slowest initcalls" not in text


def test_many_marks_are_cut(make: Maker) -> None:
    record = make([(0.001 * at, "mark", f"m{at}", 0) for at in range(60)])
    assert "… 20 more" in render(Timeline.from_record(record), width=80, colour=False)
