# SPDX-License-Identifier: GPL-2.0-only
"""The stops along history, and what each step left of it."""

from __future__ import annotations

import dataclasses

from kvm.bisect.model import Mark, Report
from kvm.report.bisect.path import is_placed, spans, stops

_G, _B, _S = Mark.GOOD, Mark.BAD, Mark.SKIP


def test_stops_lie_in_the_order_of_history_between_the_ends(interaction: Report) -> None:
    assert [(stop.number, stop.mark) for stop in stops(interaction)] == [
        *((0, _G), (1, _G), (4, _G), (3, _S), (6, _G), (5, _B), (2, _B), (0, _B))
    ]


def test_without_places_they_keep_the_order_of_asking(ranged: Report) -> None:
    assert not is_placed(ranged)
    assert [stop.number for stop in stops(ranged)] == [0, 1, 2, 3, 0]
    assert spans(ranged) == ()


def test_one_place_that_is_not_known_spoils_the_order(interaction: Report) -> None:
    first, *rest = interaction.steps
    lost = dataclasses.replace(interaction, steps=(dataclasses.replace(first, at=0), *rest))
    assert not is_placed(lost)
    assert not is_placed(dataclasses.replace(interaction, commits=40))


def test_each_step_but_a_skip_narrows_what_is_open(interaction: Report) -> None:
    found = [(span.start * 64, span.end * 64, span.at * 64) for span in spans(interaction)]
    assert found == [
        *((0, 64, 32), (32, 64, 48), (32, 48, 40), (32, 48, 39), (39, 48, 41), (39, 41, 40))
    ]


def test_of_a_fix_the_older_end_is_bad(fixed: Report) -> None:
    assert [stop.mark for stop in stops(fixed)] == [_B, _B, _G, _G, _G]
    assert [(span.start * 8, span.end * 8) for span in spans(fixed)] == [(0, 8), (4, 8), (4, 6)]


def test_neighbours_have_the_ends_alone(bare: Report) -> None:
    assert [stop.mark for stop in stops(bare)] == [_G, _B]
