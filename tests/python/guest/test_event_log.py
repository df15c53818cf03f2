# SPDX-License-Identifier: GPL-2.0-only
"""A guest's events are put in time, and show how far it had got."""

from __future__ import annotations

from typing import Any

from kvm.guest.event_log import EventLog

START, FINISH = "initcall_start", "initcall_finish"


def batch(*events: tuple[int, str, int, str], t_ns: int = 0, sent_ns: int = 0) -> dict[str, Any]:
    told = [list(event) for event in events]
    return {"t_ns": t_ns, "sent_ns": sent_ns, "lost": 1, "refused": 2, "events": told}


def log(*batches: dict[str, Any], **result: Any) -> EventLog:
    made = EventLog()
    for one in batches:
        made.take(one)
    made.end({"events_source": "port", "events_offered": "port", **result})
    return made


def test_the_least_difference_of_the_clocks_counts() -> None:
    late = batch((100, START, 0, "a"), t_ns=9_000, sent_ns=1_000)
    prompt = batch((1_100, FINISH, 0, "a"), t_ns=7_000, sent_ns=2_000)
    events = log(late, prompt).events(started_ns=5_000)
    assert [round(event.t_s * 1e9) for event in events] == [100, 1_100]
    assert events[1].to_json() == {"t_s": 1.1e-06, "kind": FINISH, "name": "a", "value": 0}


def test_how_events_came_and_what_was_lost_is_kept() -> None:
    made = log(batch(t_ns=1, sent_ns=1))
    assert (made.source, made.offered, made.lost, made.refused) == ("port", "port", 1, 2)
    assert (EventLog().source, EventLog().events(0)) == ("none", ())


def test_the_running_initcall_may_never_have_been_sent() -> None:
    sent = batch((1, START, 0, "a"), (2, FINISH, 0, "a"), t_ns=5, sent_ns=5)
    assert log(sent).running_initcall == ""
    made = log(sent, events_unsent=[batch((3, START, 0, "hangs"))])
    assert made.running_initcall == "hangs"
    assert made.last()[-1].endswith("initcall start hangs")


def test_an_initcall_within_another_ends_alone() -> None:
    nested = [(1, START, 0, "outer"), (2, START, 0, "inner"), (3, FINISH, 0, "inner")]
    assert log(batch(*nested)).running_initcall == "outer"
    assert log(batch(*nested, (4, FINISH, 0, "outer"))).running_initcall == ""
    assert log(batch((4, FINISH, 0, "never began"))).running_initcall == ""


def test_the_first_death_counts() -> None:
    told = batch((1, "warn", 0, "odd"), (2, "oops", 2, "Oops"), (3, "panic", 0, "Fatal"))
    assert log(told).death == ("oops", "Oops")
    assert log().death == ("", "")
