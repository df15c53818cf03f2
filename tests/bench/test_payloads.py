# SPDX-License-Identifier: GPL-2.0-only
"""Our payloads have the same results under our VMM and under QEMU, in one lab host."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvm.bench import payloads as bench
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run.payload.options import PayloadOptions
from kvm.run.payload.suite import plan as planning
from kvm.run.payload.suite.plan import Given, Selection
from kvm.verdict.ktap import Status
from support import payloads

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_CFG = """
[passes]
file = statuses.flat
qemu_params = -cpu max

[fails]
file = statuses.flat
qemu_params = -initrd fail.env

[foreign]
file = statuses.flat
qemu_params = -device edu

[refused]
file = statuses.flat
qemu_params = -device no-such-device
"""


def test_both_sides_of_a_suite_are_told(tmp_path: Path) -> None:
    project = Project.find()
    shutil.copyfile(payloads.build(project) / "statuses.flat", tmp_path / "statuses.flat")
    (tmp_path / "fail.env").write_text("LEAVE=1\n")
    (tmp_path / "unittests.cfg").write_text(_CFG)
    plan = planning.load(Given(PayloadOptions(tmp_path, host="lab")), Selection())
    with Progress(live=False) as progress:
        pairs = {pair.name: pair for pair in bench.compare(project, progress, plan)}
    statuses = {name: (pair.ours.status, pair.peer.status) for name, pair in pairs.items()}
    assert statuses == {
        "passes": (Status.PASS, Status.PASS),
        "fails": (Status.FAIL, Status.FAIL),
        "foreign": (Status.SKIP, Status.PASS),
        "refused": (Status.SKIP, Status.SKIP),
    }, bench.table(list(pairs.values()))
    assert "no-such-device" in pairs["refused"].peer.note
