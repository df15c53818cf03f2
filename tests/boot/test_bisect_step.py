# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke bisect-step`` reports a checkout's mark to git, by a cell in a real lab host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import scratch
from support.scratch import Scratch

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("bisect-step"), pytest.mark.timeout(600)]

_GOOD, _BROKEN = "lab-vcpus1-mmio-boot", "lab-vcpus1-mmio-idle_poll-boot"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """A checkout whose plan has machines without init, which panic, for one command line."""
    made = scratch.make(tmp_path_factory.mktemp("checkout"))
    plan = made.root / "tests" / "matrix.toml"
    text = plan.read_text()
    assert text.count('"idle=poll"') == 1
    plan.write_text(text.replace('"idle=poll"', '"rdinit=/nowhere root="'))
    yield made
    made.run("lab.stop")


def test_a_cell_that_passes_is_good(checkout: Scratch) -> None:
    code, output = checkout.run("bisect-step", "--cell", _GOOD)
    assert (code, "good: passes" in output) == (0, True), output
    checkout.await_none_left(20)


def test_the_failure_that_is_hunted_is_bad(checkout: Scratch) -> None:
    code, output = checkout.run("bisect-step", "--cell", _BROKEN)
    assert code == 1, output
    assert "--reason kernel-panic --signature" in output


def test_another_failure_cannot_tell(checkout: Scratch) -> None:
    code, output = checkout.run("bisect-step", "--cell", _BROKEN, "--reason", "hang")
    assert code == 125, output
    assert "another failure, kernel-panic" in output
