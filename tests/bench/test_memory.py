# SPDX-License-Identifier: GPL-2.0-only
"""The memory of the VMM's process is counted, not timed, so its limit is asserted."""

from __future__ import annotations

import pytest

from kvm.bench import memory
from kvm.output.progress import Progress
from kvm.project import Project


@pytest.mark.lab
def test_the_vmm_holds_little_beyond_its_guests_memory() -> None:
    with Progress(live=False) as progress:
        result = memory.measure(Project.find(), progress)
    print(f"ratio to {memory.PEER}: {result.ratio:.2f}")
    assert 0 < result.machine_kib < result.ours_kib <= 40 << 10
    assert result.peer_kib > 0
