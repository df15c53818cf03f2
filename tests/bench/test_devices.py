# SPDX-License-Identifier: GPL-2.0-only
"""The devices bench runs all four machines. Ratios are reported, only counts asserted."""

from __future__ import annotations

import pytest

from kvm.bench import devices
from kvm.project import Project
from kvm.report.live import Progress


@pytest.mark.lab
@pytest.mark.xdist_group("lab")
def test_every_machine_does_every_step_and_our_exits_stay_few() -> None:
    with Progress(live=False) as progress:
        result = devices.measure(Project.find(), progress, runs=1)
    print(result.table())
    assert all(ratio > 0 for pair in result.to_json()["ratios"].values() for ratio in pair.values())
    for ours, peer in devices.PAIRS:
        mine, other = result.found[ours], result.found[peer]
        for kind in devices.KINDS:
            assert mine[kind.name].exits[0] < 2 * other[kind.name].exits[0] + 2, (ours, kind)
