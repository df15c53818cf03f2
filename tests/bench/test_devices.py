# SPDX-License-Identifier: GPL-2.0-only
"""The devices bench runs all four machines. Ratios are reported; only counts are asserted."""

from __future__ import annotations

import pytest

from kvm.bench import devices
from kvm.output.progress import Progress
from kvm.project import Project


@pytest.mark.lab
def test_every_machine_does_every_step_and_our_exits_stay_few() -> None:
    with Progress(live=False) as progress:
        result = devices.measure(Project.find(), progress, runs=1)
    print(result.table())
    assert all(ratio > 0 for pair in result.to_json()["ratios"].values() for ratio in pair.values())
    for ours, _ in devices.PAIRS:
        reads = [result.found[ours][kind.name].exits[0] for kind in devices.KINDS[:3]]
        # One notification, one interrupt, a few timers: more of these on a busy machine.
        assert max(reads) <= 12, (ours, reads)
