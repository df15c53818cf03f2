# SPDX-License-Identifier: GPL-2.0-only
"""Which differences between boots count, and how they are reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kvm.report.timeline.compare import Comparison, compare
from kvm.report.timeline.compare_text import table

Record = dict[str, Any]
Maker = Callable[..., Record]
Boots = Callable[..., list[Record]]


@pytest.fixture
def boots(make: Maker) -> Boots:
    """``boots(f=(0.01, 0.02))``: two boots, in which f takes these seconds."""

    def _boots(**seconds: Sequence[float]) -> list[Record]:
        count = len(next(iter(seconds.values())))
        records = []
        for boot in range(count):
            events: list[tuple[Any, ...]] = []
            at_s = 0.0
            for name, taken in seconds.items():
                events.append((at_s, "initcall_start", name, 0))
                at_s += taken[boot]
                events.append((at_s, "initcall_finish", name, 0))
            records.append(make(events, guest_init=at_s + 0.1))
        return records

    return _boots


def _names(comparison: Comparison) -> dict[str, list[str]]:
    lists = {
        "slower": comparison.slower,
        "faster": comparison.faster,
        "new": comparison.new,
        "gone": comparison.gone,
    }
    return {key: [change.name for change in found] for key, found in lists.items() if found}


def test_equal_boots_do_not_differ(boots: Boots) -> None:
    sides = boots(f=(0.01, 0.011, 0.012), g=(0.1, 0.1, 0.1))
    found = compare(sides, sides)
    assert _names(found) == {}
    assert found.same == 2
    assert {change.verdict for change in found.stages} == {"same"}


def test_what_became_slower_or_faster_is_listed_the_largest_first(boots: Boots) -> None:
    before = boots(f=(0.010, 0.011, 0.012), g=(0.02, 0.02, 0.021), h=(0.05, 0.05, 0.05))
    after = boots(f=(0.020, 0.021, 0.022), g=(0.06, 0.06, 0.061), h=(0.03, 0.03, 0.03))
    found = compare(before, after)
    assert _names(found) == {"slower": ["g", "f"], "faster": ["h"]}
    assert found.slower[0].difference_s == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.001,), (0.0014,), "same"),  # less than half a millisecond
        ((0.001,), (0.0015,), "slower"),
        ((0.100,), (0.119,), "same"),  # less than a fifth
        ((0.100,), (0.120,), "slower"),
        ((0.100,), (0.080,), "faster"),
        ((0.010, 0.010, 0.030), (0.010, 0.030, 0.030), "same"),  # no larger than the spread
        ((0.001, 0.001, 0.030, 0.030, 0.030), (0.001, 0.001, 0.001, 0.030, 0.030), "same"),
        ((0.010,) * 9 + (0.5,), (0.020,) * 9 + (0.001,), "slower"),  # single outliers do not matter
    ],
)
def test_a_difference_must_be_large_in_each_way(
    boots: Boots, before: tuple[float, ...], after: tuple[float, ...], verdict: str
) -> None:
    found = compare(boots(f=before), boots(f=after))
    assert _names(found) == ({} if verdict == "same" else {verdict: ["f"]})


def test_new_and_gone_are_those_that_no_boot_of_a_side_has(boots: Boots) -> None:
    before = [*boots(f=(0.01,), old=(0.002,)), *boots(f=(0.01,), now_and_then=(0.001,))]
    after = boots(f=(0.01, 0.01), now_and_then=(0.001, 0.001), fresh=(0.004, 0.006))
    found = compare(before, after)
    assert _names(found) == {"new": ["fresh"], "gone": ["old"]}
    assert found.new[0].difference_s == pytest.approx(0.005)
    assert found.new[0].before is None


def test_calls_of_one_name_are_added(make: Maker) -> None:
    def twice(seconds: float) -> Record:
        events = [
            (0.0, "initcall_start", "init", 0),
            (seconds, "initcall_finish", "init", 0),
            (0.1, "initcall_start", "init", 0),
            (0.1 + seconds, "initcall_finish", "init", 0),
        ]
        return make(events)

    (change,) = compare([twice(0.01)], [twice(0.02)]).slower
    assert change.before is not None and change.before.median_s == pytest.approx(0.02)
    assert change.difference_s == pytest.approx(0.02)


def test_an_initcall_that_hung_has_no_time(boots: Boots, make: Maker) -> None:
    hung = make([(0.0, "initcall_start", "f", 0), (5.0, "panic", "hung", 0)])
    found = compare(boots(f=(0.01,), g=(0.01,)), [hung, *boots(f=(0.01,), g=(0.01,))])
    assert _names(found) == {}


def test_stages_are_compared_too(boots: Boots) -> None:
    before, after = boots(f=(0.01, 0.01)), boots(f=(0.31, 0.31))
    verdicts = {change.name: change.verdict for change in compare(before, after).stages}
    assert verdicts == {
        "VMM start": "same",
        "loader": "same",
        "early boot": "same",
        "initcalls": "slower",
        "init": "same",
        "entry to hello": "slower",
        "command": "same",
    }


def test_a_side_without_events_makes_nothing_new_or_gone(boots: Boots, make: Maker) -> None:
    silent = make((), source="none", guest_init=0.11)
    found = compare(boots(f=(0.01,)), [silent])
    assert _names(found) == {}
    assert "after" in found.notes[0]
    names = [change.name for change in found.stages]
    assert names == ["VMM start", "loader", "entry to hello", "command"]
    assert {change.verdict for change in found.stages} == {"same"}


def test_odd_records_can_be_compared(odd_records: list[Record]) -> None:
    for sides in ((odd_records, []), ([], odd_records), (odd_records, odd_records), ([], [])):
        found = compare(*sides)
        assert table(found, before_name="a", after_name="b").endswith("\n")
        json.dumps(found.to_json(), allow_nan=False)


def test_the_table_has_both_sides_the_difference_and_its_share(boots: Boots) -> None:
    before = boots(f=(0.010, 0.010), h=(0.05, 0.05))
    after = boots(f=(0.020, 0.020), h=(0.05, 0.05), fresh=(0.005, 0.005))
    text = table(compare(before, after), before_name="v6.11", after_name="v6.12")
    lines = text.splitlines()
    assert lines[0] == "v6.11: 2 boots, v6.12: 2 boots; medians"
    assert "Slower initcalls    v6.11    v6.12         difference" in lines
    assert "f                 10.0 ms  20.0 ms  +10.0 ms (+100 %)" in lines
    assert any(line.split() == ["fresh", "-", "5.0", "ms", "+5.0", "ms"] for line in lines)
    assert lines[-1] == "1 initcall without a difference that counts."


def test_long_lists_are_cut_in_the_text_and_whole_in_json(boots: Boots) -> None:
    after = boots(f=(0.01,), **{f"new_{at}": (0.01,) for at in range(50)})
    found = compare(boots(f=(0.01,)), after)
    assert "… 30 more" in table(found, before_name="a", after_name="b")
    assert len(found.to_json()["new"]) == 50


def test_names_are_kept_short_and_printable(hostile: Record) -> None:
    side = [hostile]
    text = table(compare(side, side), before_name="\x1b[31m" + "a" * 900, after_name="b\nc")
    assert all(c == "\n" or c.isprintable() for c in text)
    assert max(map(len, text.splitlines())) < 140


def test_json_says_all(boots: Boots) -> None:
    found = compare(boots(f=(0.01, 0.01)), boots(f=(0.02, 0.02))).to_json()
    assert found["slower"] == [
        {
            "name": "f",
            "verdict": "slower",
            "difference_s": 0.01,
            "before": {"boots": 2, "median_s": 0.01, "low_s": 0.01, "high_s": 0.01},
            "after": {"boots": 2, "median_s": 0.02, "low_s": 0.02, "high_s": 0.02},
        }
    ]
    assert (found["before_boots"], found["after_boots"], found["same"]) == (2, 2, 0)
