# SPDX-License-Identifier: GPL-2.0-only
"""Finds the half of the first bad commit that is to blame, by mixing it with its parent.

First comes the table of two halves, {kernel of P, of C} x {VMM of P, of C}. If the kernel is both
lab host and guest, it is then split: KVM's side and the guest's side vary separately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from kvm.bisect.model import Axis, Blame, Decision, Label, Mark, Mix, MixResult

Changed = frozenset[Axis]
Test = Callable[[Mix], Decision]

_KERNEL = frozenset((Axis.HOST, Axis.GUEST))
_PARTS = {Axis.HOST: "KVM (host side)", Axis.GUEST: "the guest kernel", Axis.VMM: "the VMM"}


@dataclass(slots=True)
class Table:
    """The mixes of a good and a bad commit over ``axes``, run only as needed."""

    good: str
    bad: str
    axes: tuple[Axis, ...]
    test: Test
    results: dict[Changed, Decision]

    @classmethod
    def over(cls, good: str, bad: str, axes: Iterable[Axis], test: Test) -> Table:
        return cls(good, bad, tuple(axes), test, {})

    def is_bad(self, *changed: Axis) -> bool | None:
        """Whether only these axes of the bad commit make the rest fail; None if it can't tell."""
        mark = self.at(frozenset(changed)).mark
        return None if mark is Mark.SKIP else mark is Mark.BAD

    def at(self, changed: Changed) -> Decision:
        if changed not in self.results:
            self.results[changed] = self.test(self.mix(changed))
        return self.results[changed]

    def mix(self, changed: Changed) -> Mix:
        """The mix; other axes are the good commit's. Without the axis HOST, the guest's kernel
        hosts."""
        guest = self._commit(Axis.GUEST in changed)
        host = self._commit(Axis.HOST in changed) if Axis.HOST in self.axes else guest
        vmm = self._commit(Axis.VMM in changed)
        return Mix(host, guest, vmm if Axis.VMM in self.axes else guest)

    def _commit(self, changed: bool) -> str:
        return self.bad if changed else self.good

    def listed(self) -> tuple[MixResult, ...]:
        order = sorted(
            self.results, key=lambda changed: (len(changed), str(sorted(map(str, changed))))
        )
        return tuple(MixResult(changed, self.results[changed]) for changed in order)


def find(table: Table, differing: Changed) -> Blame:
    """Fill the table as far as needed. Only the ``differing`` axes differ between the commits."""
    halves = [half for half in _halves(table.axes) if half & differing]
    if not halves:
        return Blame(Label.UNKNOWN, "neither the kernel nor the VMM differs between the two")
    for count in range(len(halves) + 1):
        for chosen in combinations(halves, count):
            table.at(frozenset().union(*chosen))
    found = judge(table.results, halves)
    if found.label in (Label.KERNEL, Label.INTERACTION):
        return _taken_apart(table, found, differing)
    return found


def judge(results: Mapping[Changed, Decision], halves: list[Changed]) -> Blame:
    """The label for a filled table of halves. Pure."""
    listed = _listed(results)
    whole = frozenset().union(*halves)
    if results[frozenset()].mark is not Mark.GOOD or results[whole].mark is not Mark.BAD:
        return Blame(Label.UNKNOWN, "the two ends do not show the difference again", table=listed)
    if len(halves) == 1:
        label = _label(halves[0])
        return Blame(
            label, f"{_name(label)} is to blame: nothing else differs", _parts(whole), listed
        )
    alone = {half: results[half].mark for half in halves}
    if Mark.SKIP in alone.values():
        half = next(half for half, mark in alone.items() if mark is Mark.SKIP)
        text = f"the new {_label(half).value} with the old rest can't tell: {results[half].why}"
        return Blame(Label.UNKNOWN, text, table=listed)
    guilty = [half for half, mark in alone.items() if mark is Mark.BAD]
    if len(guilty) == 1:
        label = _label(guilty[0])
        text = f"{_name(label)} is to blame: alone it makes the failure, the other half does not"
        return Blame(label, text, _parts(guilty[0]), listed)
    if guilty:
        text = "either half alone makes the failure"
        return Blame(Label.EITHER, text, _parts(whole), listed)
    text = "an interaction: each half works alone, only the two together fail"
    return Blame(Label.INTERACTION, text, _parts(whole), listed)


def _taken_apart(table: Table, found: Blame, differing: Changed) -> Blame:
    """Distinguish KVM's side of the kernel from the guest's."""
    sides = [axis for axis in (Axis.HOST, Axis.GUEST) if axis in table.axes and axis in differing]
    rest = frozenset(found.parts) - _KERNEL
    if len(sides) < 2:
        parts = tuple(axis for axis in found.parts if axis in rest or axis in sides)
        return Blame(found.label, found.words, parts, table.listed())
    bad = [axis for axis in sides if table.is_bad(*rest, axis)]
    if any(table.is_bad(*rest, axis) is None for axis in sides) and not bad:
        return Blame(found.label, found.words, found.parts, table.listed())
    parts = (*bad, *rest) if len(bad) == 1 else found.parts
    return Blame(found.label, f"{found.words}; {_told_apart(bad)}", parts, table.listed())


def _told_apart(bad: Sequence[Axis]) -> str:
    if len(bad) == 1:
        return f"of the kernel, it is {_PARTS[bad[0]]}"
    if bad:
        return "of the kernel, KVM's side and the guest's each suffice"
    return "of the kernel, it takes KVM's side and the guest's together"


def _halves(axes: tuple[Axis, ...]) -> list[Changed]:
    kernel = frozenset(axis for axis in axes if axis in _KERNEL)
    return [half for half in (kernel, frozenset(axes) - kernel) if half]


def _label(half: Changed) -> Label:
    return Label.VMM if Axis.VMM in half else Label.KERNEL


def _name(label: Label) -> str:
    return {Label.VMM: "the VMM", Label.KERNEL: "the kernel"}.get(label, label.value)


def _parts(changed: Changed) -> tuple[Axis, ...]:
    return tuple(axis for axis in Axis if axis in changed)


def _listed(results: Mapping[Changed, Decision]) -> tuple[MixResult, ...]:
    return tuple(MixResult(changed, decision) for changed, decision in results.items())
