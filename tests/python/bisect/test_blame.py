# SPDX-License-Identifier: GPL-2.0-only
"""Derives the half that is to blame from the table of mixes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kvm.bisect.blame import Table, find
from kvm.bisect.model import Axis, Blame, Decision, Label, Mark, Mix

ALL = (Axis.HOST, Axis.GUEST, Axis.VMM)


def blamed(
    fails: Callable[[Mix], bool | None], axes: tuple[Axis, ...] = ALL, differing: str = "HGV"
) -> Blame:
    """The blame; ``fails`` gets commits P and C, and returns None for can't tell."""

    def test(mix: Mix) -> Decision:
        found = fails(mix)
        mark = Mark.SKIP if found is None else Mark.BAD if found else Mark.GOOD
        return Decision(mark, mark.value)

    letters = {"H": Axis.HOST, "G": Axis.GUEST, "V": Axis.VMM}
    return find(
        Table.over("P", "C", axes, test), frozenset(letters[letter] for letter in differing)
    )


def test_the_guests_kernel() -> None:
    found = blamed(lambda mix: mix.guest == "C")
    assert (found.label, found.parts) == (Label.KERNEL, (Axis.GUEST,))
    assert "the guest kernel" in found.words


def test_the_hosts_kernel() -> None:
    found = blamed(lambda mix: mix.host == "C")
    assert (found.label, found.parts) == (Label.KERNEL, (Axis.HOST,))
    assert "KVM (host side)" in found.words
    assert len(found.table) == 6, "four halves, and the kernel taken apart"


def test_a_kernel_that_fails_with_itself_alone() -> None:
    found = blamed(lambda mix: mix.host == mix.guest == "C")
    assert (found.label, found.parts) == (Label.KERNEL, (Axis.HOST, Axis.GUEST))
    assert "together" in found.words


def test_the_vmm() -> None:
    found = blamed(lambda mix: mix.vmm == "C")
    assert (found.label, found.parts) == (Label.VMM, (Axis.VMM,))


def test_an_interaction_of_guest_and_vmm() -> None:
    found = blamed(lambda mix: mix.guest == mix.vmm == "C")
    assert found.label is Label.INTERACTION
    assert set(found.parts) == {Axis.GUEST, Axis.VMM}


def test_either_alone() -> None:
    found = blamed(lambda mix: "C" in (mix.guest, mix.vmm))
    assert found.label is Label.EITHER


def test_a_commit_of_one_half_is_taken_apart_all_the_same() -> None:
    found = blamed(lambda mix: mix.host == "C", differing="HG")
    assert (found.label, found.parts) == (Label.KERNEL, (Axis.HOST,))


def test_a_commit_of_the_vmm_alone_needs_two_runs() -> None:
    found = blamed(lambda mix: mix.vmm == "C", differing="V")
    assert found.label is Label.VMM
    assert len(found.table) == 2


def test_without_a_lab_host_the_guest_is_the_kernel() -> None:
    found = blamed(lambda mix: mix.guest == "C", axes=(Axis.GUEST, Axis.VMM), differing="GV")
    assert (found.label, found.parts) == (Label.KERNEL, (Axis.GUEST,))


@pytest.mark.parametrize(
    "fails",
    [
        lambda mix: None if mix.vmm != mix.guest else mix.vmm == "C",
        lambda mix: False,
        lambda mix: True,
    ],
    ids=["mixes do not build", "the bad end passes", "the good end fails"],
)
def test_what_cannot_be_told_is_not_guessed(fails: Callable[[Mix], bool | None]) -> None:
    assert blamed(fails).label is Label.UNKNOWN


def test_nothing_that_differs_is_nobodys_fault() -> None:
    assert blamed(lambda mix: True, differing="").label is Label.UNKNOWN
