# SPDX-License-Identifier: GPL-2.0-only
"""One axis for host, VMM, kernel and command, which no guest can distort."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from kvm.report.timeline.model import LONG_S, SLOWEST, Timeline
from kvm.run.record import GuestEventFacts, RunRecord, Timings
from kvm.verdict.vocabulary import Outcome, Reason, Verdict

Record = dict[str, Any]
Maker = Callable[..., Record]


def _near(seconds: float) -> Any:
    return pytest.approx(seconds, abs=1e-9)


def _all_times(timeline: Timeline) -> list[float]:
    spans = (*timeline.stages, *timeline.levels, *timeline.initcalls, *timeline.slowest)
    times = [time for span in spans for time in (span.start_s, span.end_s)]
    return [*times, *(mark.at_s for mark in timeline.marks)]


def test_stages_follow_each_other_from_the_decision_to_start(booted: Timeline) -> None:
    found = [(span.name, span.start_s, span.end_s) for span in booted.stages]
    assert found == [
        ("VMM start", _near(0.0), _near(0.03)),
        ("loader", _near(0.03), _near(0.05)),
        ("early boot", _near(0.05), _near(0.052)),
        ("initcalls", _near(0.052), _near(0.16)),
        ("init", _near(0.16), _near(0.25)),
        ("command", _near(0.25), _near(0.35)),
    ]
    assert (booted.start_s, booted.end_s) == (0.0, _near(0.35))
    assert (booted.entered_s, booted.hello_s) == (0.05, _near(0.25))


@pytest.mark.parametrize("host_boot", [None, 0.0])
def test_a_host_that_ran_already_has_no_stage(make: Maker, host_boot: float | None) -> None:
    timeline = Timeline.from_record(make(host_boot=host_boot))
    assert timeline.stages[0].name == "VMM start"


def test_the_hosts_boot_lies_before_zero_and_moves_nothing(make: Maker, booted: Timeline) -> None:
    timeline = Timeline.from_record(make(host_boot=1.5))
    host, *others = timeline.stages
    assert (host.name, host.start_s, host.end_s) == ("host kernel", -1.5, 0.0)
    assert tuple(others) == booted.stages
    assert timeline.start_s == -1.5


@pytest.mark.parametrize("load", [None, "missing"])
def test_an_unmeasured_loader_stays_in_the_vmms_start(make: Maker, load: str | None) -> None:
    record = make(load=None)
    if load:
        del record["timings_s"]["load"]
    first, second, *_ = Timeline.from_record(record).stages
    assert (first.name, first.seconds) == ("VMM start", _near(0.05))
    assert "not measured" in first.note
    assert second.name == "early boot"


def test_long_initcalls_are_spans_and_short_ones_a_sum(booted: Timeline) -> None:
    found = [(span.name, span.start_s, span.seconds) for span in booted.initcalls]
    assert found == [
        ("rcu_init", _near(0.061), _near(0.002)),
        ("outer_init", _near(0.071), _near(0.010)),
        ("module_init", _near(0.072), _near(0.003)),
        ("pci_init", _near(0.1), _near(0.06)),
    ]
    assert (booted.short_count, booted.short_s) == (1, _near(0.0003))
    assert booted.initcalls[2].note == "returned -19 (ENODEV)"


def test_the_slowest_are_of_any_length_and_the_longest_first(booted: Timeline) -> None:
    names = [span.name for span in booted.slowest]
    assert names == ["pci_init", "outer_init", "module_init", "rcu_init", "con_init"]


def test_so_many_are_the_slowest(make: Maker) -> None:
    events: list[tuple[Any, ...]] = []
    for number in range(50):
        events.append((number / 100, "initcall_start", f"f{number}", 0))
        events.append((number / 100 + LONG_S * number / 10, "initcall_finish", f"f{number}", 0))
    slowest = Timeline.from_record(make(events)).slowest
    assert [span.name for span in slowest] == [f"f{49 - at}" for at in range(SLOWEST)]


def test_a_level_lasts_until_its_last_initcall_event(booted: Timeline) -> None:
    found = [(level.name, level.start_s, level.end_s) for level in booted.levels]
    assert found == [
        ("console", _near(0.052), _near(0.0524)),
        ("early", _near(0.06), _near(0.063)),
        ("core", _near(0.07), _near(0.081)),
        ("late", _near(0.09), _near(0.16)),
    ]


def test_marks_are_programs_texts_and_troubles(booted: Timeline) -> None:
    found = [(mark.kind, mark.name, mark.at_s) for mark in booted.marks]
    assert found == [
        ("warn", "check_flags", _near(0.091)),
        ("init", "init", _near(0.2)),
        ("mark", "ready", _near(0.26)),
    ]


def test_an_initcall_that_hangs_is_flagged_however_short_it_looks(make: Maker) -> None:
    events = [
        (0.01, "level", "late", 0),
        (0.01, "initcall_start", "good_init", 0),
        (0.02, "initcall_finish", "good_init", 0),
        (0.02, "initcall_start", "hung_init", 0),
    ]
    timeline = Timeline.from_record(make(events, guest_init=None, command=None))
    assert [span.kind for span in timeline.initcalls] == ["initcall", "unfinished"]
    assert timeline.initcalls[1].note == "did not return"
    assert timeline.slowest[0].name == "hung_init"
    assert timeline.stages[-1].name == "initcalls"
    assert any("1 initcall did not return" in note for note in timeline.notes)
    assert any("hello is not known" in note for note in timeline.notes)


def test_an_unfinished_initcall_reaches_to_what_is_known_last(make: Maker) -> None:
    events = [(0.01, "initcall_start", "hung_init", 0), (0.5, "panic", "hung task", 0)]
    timeline = Timeline.from_record(make(events, guest_init=None, command=None))
    (call,) = timeline.initcalls
    assert (call.start_s, call.end_s) == (_near(0.06), _near(0.55))


def test_with_lost_events_a_missing_return_is_no_hang(make: Maker) -> None:
    timeline = Timeline.from_record(make([(0.01, "initcall_start", "f", 0)], lost=3))
    assert "lost" in timeline.initcalls[0].note
    assert any("3 events found no room" in note for note in timeline.notes)


def test_an_end_without_beginning_is_counted(make: Maker) -> None:
    timeline = Timeline.from_record(make([(0.01, "initcall_finish", "f", 0)]))
    assert timeline.slowest == ()
    assert any("1 initcall ended without having begun" in note for note in timeline.notes)


def test_interleaved_calls_of_one_name_are_matched_the_last_first(make: Maker) -> None:
    events = [
        (0.01, "initcall_start", "f", 0),
        (0.02, "initcall_start", "g", 0),
        (0.03, "initcall_start", "f", 0),
        (0.04, "initcall_finish", "f", 0),
        (0.05, "initcall_finish", "f", 0),
        (0.06, "initcall_finish", "g", 0),
    ]
    timeline = Timeline.from_record(make(events))
    found = [(span.name, span.seconds) for span in timeline.initcalls]
    assert found == [("f", _near(0.04)), ("g", _near(0.04)), ("f", _near(0.01))]


def test_order_of_arrival_does_not_matter(make: Maker, booted: Timeline) -> None:
    record = make()
    record["events"].reverse()
    assert Timeline.from_record(record) == booted


def test_a_modules_initcall_after_boot_does_not_lengthen_it(make: Maker, booted: Timeline) -> None:
    record = make()
    for t_s, kind in ((0.25, "initcall_start"), (0.28, "initcall_finish")):
        record["events"].append({"t_s": t_s, "kind": kind, "name": "late_module", "value": 0})
    timeline = Timeline.from_record(record)
    assert timeline.stages == booted.stages
    assert timeline.levels == booted.levels
    assert timeline.initcalls[-1].name == "late_module"


@pytest.mark.parametrize("source", ["none", "hypercall"])
def test_without_events_the_stages_are_those_that_are_known(make: Maker, source: str) -> None:
    timeline = Timeline.from_record(make((), source=source))
    assert [s.name for s in timeline.stages] == ["VMM start", "loader", "early boot", "command"]
    assert timeline.stages[2].end_s == timeline.hello_s
    assert any("missing" in note for note in timeline.notes)
    assert timeline.source == source


def test_an_old_record_has_a_timeline(make: Maker) -> None:
    record = make()
    for key in ("event_source", "events", "events_lost"):
        del record[key]
    timeline = Timeline.from_record(record)
    assert timeline.source == "none"
    assert any("from before" in note for note in timeline.notes)


def test_a_record_made_here_is_read() -> None:
    told = GuestEventFacts("port", ({"t_s": 0.1, "kind": "init", "name": "sh", "value": 0},))
    outcome = Outcome(Verdict.PASS, Reason.OK, "")
    timings = Timings(vmm_start=0.1, load=0.05, guest_init=0.3)
    record = RunRecord(outcome=outcome, host="lab", exit_code=0, timings=timings, told=told)
    timeline = Timeline.from_record(record.to_json())
    assert timeline.source == "port"
    assert [s.name for s in timeline.stages] == ["VMM start", "loader", "early boot", "init"]


def test_impossible_times_are_moved_to_the_edge_and_counted(make: Maker) -> None:
    events = [(-3.0, "warn", "a", 0), (0.1, "warn", "b", 0), (1e18, "panic", "c", 0)]
    timeline = Timeline.from_record(make(events))
    assert [mark.at_s for mark in timeline.marks] == [0.05, _near(0.15), _near(0.35)]
    assert any("2 events had an impossible time" in note for note in timeline.notes)


def test_whatever_a_record_says_nothing_lies_outside_of_the_axis(odd_records: list[Record]) -> None:
    for record in odd_records:
        timeline = Timeline.from_record(record)
        assert timeline.start_s <= timeline.entered_s <= timeline.end_s
        for time in _all_times(timeline):
            assert math.isfinite(time)
            assert timeline.start_s - 1e-9 <= time <= timeline.end_s + 1e-9, record


def test_names_are_short_and_printable(hostile: Record) -> None:
    timeline = Timeline.from_record(hostile)
    names = [span.name for span in (*timeline.levels, *timeline.initcalls, *timeline.slowest)]
    names += [mark.name for mark in timeline.marks]
    names.append(timeline.source)
    assert names
    assert all(name.isprintable() and 0 < len(name) <= 80 for name in names)
