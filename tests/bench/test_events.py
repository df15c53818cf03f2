# SPDX-License-Identifier: GPL-2.0-only
"""The events bench boots with and without events. Ratios are reported; counts are asserted."""

from __future__ import annotations

import pytest

from kvm.bench import events
from kvm.output.progress import Progress
from kvm.project import Project


@pytest.mark.lab
def test_events_cost_few_exits() -> None:
    with Progress(live=False) as progress:
        result = events.measure(Project.find(), progress, runs=1)
    print(f"ratio with events to without in one run: {result.ratio:.3f}")
    assert 0 < result.more_exits <= 400
