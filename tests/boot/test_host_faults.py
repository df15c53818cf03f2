# SPDX-License-Identifier: GPL-2.0-only
"""A fault that only the lab host's kernel shows has the right verdict with every command, always.

It builds a kernel for each fault, two of them with checkers that the default lacks, so it runs only
on request: ``TOOLSKVM_HOST_FAULTS=3 ./invoke test -- tests/boot/test_host_faults.py`` runs each
command three times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kvm.lock import locked
from kvm.matrix import planted_copy
from kvm.project import Project
from support import host_faults, payloads
from support.host_faults import DOORS, FAULTS, Doors, Fault

TIMES = int(os.environ.get("TOOLSKVM_HOST_FAULTS", "0"))

pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("host-faults"),  # they take turns in one copy of the checkout
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not TIMES, reason="builds six kernels: set TOOLSKVM_HOST_FAULTS=1 or more"),
]


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    project = Project.find()
    file = payloads.build(project) / "msr.flat"
    lock = project.build / "planted" / "lock"
    with locked(lock, "a run of the planted faults", wait_s=1.0, say=lambda text: None):
        copy = planted_copy.make(project, lambda text: None)
        found = Doors(copy, file)
        try:
            yield found
        finally:
            copy.undo()
            found.stop()


@pytest.fixture(scope="module", params=FAULTS, ids=lambda fault: fault.name)
def fault(request: pytest.FixtureRequest, doors: Doors) -> Fault:
    planted: Fault = request.param
    host_faults.plant(doors.copy, planted)
    return planted


@pytest.mark.parametrize("door", DOORS)
def test_the_verdict_is_right_each_time(doors: Doors, fault: Fault, door: str) -> None:
    for _ in range(TIMES):
        seen = doors.knock(door)
        assert (seen.verdict, seen.reason) in fault.verdicts, seen.output[-4000:]
