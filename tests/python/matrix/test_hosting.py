# SPDX-License-Identifier: GPL-2.0-only
"""Workers fit into memory, and no two have the same slot."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix.hosting import configs_of, host_cpus, own_slot, workers_that_fit
from kvm.project import Project


def test_workers_are_as_many_as_memory_holds() -> None:
    assert workers_that_fit(0, available_mib=4000) == 1
    assert workers_that_fit(2, available_mib=24_000) == 2


def test_too_many_workers_for_the_memory_are_refused_with_a_number_that_fits() -> None:
    with pytest.raises(UserError) as wrong:
        workers_that_fit(4, available_mib=7000)
    assert wrong.value.hint.endswith("-n 2")


def test_lab_hosts_share_the_cores() -> None:
    assert [host_cpus(workers, cores=2) for workers in (1, 2, 4)] == [2, 1, 1]
    assert [host_cpus(workers, cores=16) for workers in (1, 8, 12)] == [2, 2, 1]


def test_two_workers_have_two_slots_and_a_freed_one_is_taken_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with own_slot(project, 2) as first:
        with own_slot(project, 2) as second:
            assert first != second
        with own_slot(project, 2) as again:
            assert again == second


def test_no_slot_left_is_an_error(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with own_slot(project, 1), own_slot(project, 1):
        third = own_slot(project, 1)
        with pytest.raises(UserError, match="slots"):
            third.__enter__()


def test_a_cell_needs_its_guests_kernel_and_its_hosts() -> None:
    assert configs_of("lab", "kunit") == ("kunit", "default")
    assert configs_of("lab_debug", "debug") == ("debug",)
