# SPDX-License-Identifier: GPL-2.0-only
"""Made-up bisections: one found an interaction, one ended in a range, one searched for a fix."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from kvm.bisect.model import (
    Axis,
    Blame,
    Commit,
    Decision,
    Failure,
    Label,
    Mark,
    MixResult,
    Report,
    Step,
)
from kvm.verdict.vocabulary import Reason
from support.matrix_run import HOSTILE, STARTED

Maker = Callable[[int, str], Commit]

_H, _G, _V = Axis.HOST, Axis.GUEST, Axis.VMM
_GOOD = Decision(Mark.GOOD, "passes", good=1, kernel="k-1f", vmm="v-2e", seconds=14.0)
_BAD = Decision(
    Mark.BAD,
    "kernel-oops: BUG: kernel NULL pointer dereference",
    bad=1,
    kernel="k-77",
    vmm="v-2e",
    seconds=12.0,
)
_SKIP = Decision(Mark.SKIP, "does not build: error: 'x' undeclared", seconds=3.0)
_OFTEN = dataclasses.replace(_BAD, bad=2, good=3)


def _commit(number: int, subject: str = "") -> Commit:
    """The commit at a place in history."""
    return Commit(
        f"{number:02x}" * 20,
        subject or f"kvm: change number {number}",
        "A U Thor <author@example.org>",
        f"2025-03-{number % 28 + 1:02}",
        ("kernel", "vmm") if number % 2 else ("vmm",),
    )


def _table(**marks: Decision) -> tuple[MixResult, ...]:
    names = {"h": _H, "g": _G, "v": _V}
    return tuple(
        MixResult(frozenset(names[letter] for letter in key if letter in names), decision)
        for key, decision in marks.items()
    )


@pytest.fixture(scope="package")
def commit() -> Maker:
    return _commit


@pytest.fixture(scope="package")
def interaction() -> Report:
    """It found number 41 of 64 commits; KVM's side of the kernel fails only with the new VMM."""
    found = _commit(41, "kvm, vmm: pass the event page's size in the hypercall")
    steps = (
        Step(_commit(32), _GOOD, 31, 32),
        Step(_commit(48), dataclasses.replace(_BAD, reused=True), 15, 48),
        Step(_commit(40), _SKIP, 7, 40),
        Step(_commit(39), _GOOD, 4, 39),
        Step(found, _OFTEN, 2, 41),
        Step(_commit(40), dataclasses.replace(_GOOD, bad=0, good=20), 0, 40),
    )
    blame = Blame(
        Label.INTERACTION,
        "an interaction: each half works alone, only the two together fail; of the kernel, it is"
        " KVM (host side)",
        (_H, _V),
        _table(none=_GOOD, hg=_GOOD, v=_GOOD, hgv=_OFTEN, hv=_BAD, gv=_SKIP),
        "0004-kvm-x86-pass-the-size.patch",
    )
    return Report(
        test="lab-vcpus2-mmio-blk_integrity",
        command="./invoke bisect --good v0.3 --bad main --cell lab-vcpus2-mmio-blk_integrity",
        good=_commit(0, "Release 0.3"),
        bad=_commit(64, "Speed the queue up"),
        failure=Failure(
            Reason.KERNEL_OOPS,
            "kernel-oops: virtblk_done, vring_interrupt",
            "BUG: kernel NULL pointer dereference in virtblk_done",
            rate=0.4,
            steady=False,
        ),
        steps=steps,
        first_bad=found,
        candidates=(),
        blame=blame,
        confidence=0.99,
        log="# bad: [4040] Speed the queue up\ngit bisect start '4040' '0000'\n",
        repeat="git checkout 292929292929 && ./invoke test --matrix --cell lab-vcpus2-mmio",
        started=STARTED,
        seconds=187.4,
        kernels_built=2,
        vmms_built=5,
        reused=1,
        commits=64,
    )


@pytest.fixture(scope="package")
def ranged(interaction: Report) -> Report:
    """Skips hid the answer, the places of commits are unknown, and blame is unknown too."""
    steps = (
        Step(_commit(3), _SKIP, 2),
        Step(_commit(2), _SKIP, 1),
        Step(_commit(4), _BAD, 1),
    )
    return dataclasses.replace(
        interaction,
        steps=steps,
        first_bad=None,
        candidates=(_commit(2), _commit(3), _commit(4)),
        blame=Blame(
            Label.UNKNOWN,
            f"the new kernel with the old rest can't tell: {_SKIP.why}",
            (),
            _table(none=_GOOD, v=_GOOD, hg=_SKIP, hgv=_BAD),
        ),
        commits=0,
    )


@pytest.fixture(scope="package")
def fixed(interaction: Report) -> Report:
    """``--fix``: the older end fails; only the VMM makes the difference."""
    steps = (
        Step(_commit(4), _BAD, 2, 4),
        Step(_commit(6), _GOOD, 1, 6),
        Step(_commit(5), _GOOD, 0, 5),
    )
    return dataclasses.replace(
        interaction,
        failure=dataclasses.replace(interaction.failure, rate=1.0, steady=True),
        steps=steps,
        first_bad=_commit(5, "vmm: fix the queue"),
        blame=Blame(
            Label.VMM,
            "the VMM is to blame: nothing else differs",
            (_V,),
            _table(none=_GOOD, v=_BAD),
        ),
        fix=True,
        commits=8,
    )


@pytest.fixture(scope="package")
def hostile(interaction: Report) -> Report:
    """Every text that others may have written is malicious."""
    evil = Commit("41" * 20, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))
    decision = dataclasses.replace(_BAD, why=HOSTILE, kernel=HOSTILE, vmm=HOSTILE)
    return dataclasses.replace(
        interaction,
        test=HOSTILE,
        command=HOSTILE,
        good=evil,
        bad=evil,
        failure=Failure(Reason.HANG, HOSTILE, HOSTILE),
        steps=tuple(Step(evil, decision, 1, place) for place in (1, 2, 3)),
        first_bad=evil,
        candidates=(evil,),
        blame=Blame(Label.KERNEL, HOSTILE, (_G,), _table(none=decision, hg=decision), HOSTILE),
        log=f"{HOSTILE}\n```\n````\n{HOSTILE}",
        repeat=HOSTILE,
    )


@pytest.fixture(scope="package")
def bare(interaction: Report) -> Report:
    """Two neighbouring commits, no blame requested, nothing else known."""
    return dataclasses.replace(
        interaction,
        steps=(),
        first_bad=interaction.bad,
        blame=None,
        log="",
        repeat="",
        command="",
        reused=0,
        commits=0,
        failure=Failure(Reason.GUEST_EXIT, "", "exit code 3"),
    )


@pytest.fixture(params=["interaction", "ranged", "fixed", "hostile", "bare"])
def any_report(request: pytest.FixtureRequest) -> Report:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Report)
    return found
