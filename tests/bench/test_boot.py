# SPDX-License-Identifier: GPL-2.0-only
"""The boot bench runs both VMMs side by side. Ratios are reported; only counts are asserted."""

from __future__ import annotations

import pytest

from kvm.bench import boot
from kvm.output.progress import Progress
from kvm.project import Project


@pytest.mark.lab
def test_both_vmms_boot_and_our_exits_stay_few() -> None:
    with Progress(live=False) as progress:
        result = boot.measure(Project.find(), progress, runs=1)
    record = result.to_json()
    print(f"ratio to {boot.PEER} in one run: {record['ratios'][boot.PEER]}")
    assert record["ratios"][boot.PEER] > 0
    assert record["exits"]["max"] <= 800
