# SPDX-License-Identifier: GPL-2.0-only
"""A pytest plugin: ``booted_machine`` is a guest of this checkout's kernel and VMM.

    def test_the_release(booted_machine):
        assert booted_machine.run("uname -r").stdout.startswith("6.")

Each test has a machine as it was after its boot: one is booted and saved, tests have clones of it.
``@pytest.mark.machine(cpus=2, memory="512M")`` gives it options of ``./invoke boot``, by their
names with ``_`` for ``-``. A complaint of the guest's kernel, or of the lab host's, fails the test.

It imports little: pytest loads it wherever this package is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kvm.run.live import LiveGuest
    from kvm.testing.machines import Machines

_MARK = "machine"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_MARK}(**options): options of ./invoke boot for booted_machine, such as cpus=2; "
        "rewind=False gives the test a clone that served no other test, clone=False boots",
    )


@pytest.fixture(scope="session")
def _machines(request: pytest.FixtureRequest) -> Iterator[Machines]:
    from kvm.testing import machines

    all_of_them = machines.Machines(request.config)
    yield all_of_them
    if complaints := all_of_them.close():
        pytest.fail(complaints, pytrace=False)


@pytest.fixture
def booted_machine(request: pytest.FixtureRequest, _machines: Machines) -> Iterator[LiveGuest]:
    """A guest whose init waits for commands: ``run("command")``."""
    from kvm.errors import UserError

    words: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(_MARK))):  # the closest one last
        words |= mark.kwargs
    try:
        machine = _machines.take(words)
    except UserError as trouble:
        pytest.fail(f"no machine: {trouble}", pytrace=False)
    request.node.add_report_section("setup", "machine", str(machine.run_dir))
    yield machine.guest
    if complaint := _machines.give_back(machine):
        pytest.fail(complaint, pytrace=False)
