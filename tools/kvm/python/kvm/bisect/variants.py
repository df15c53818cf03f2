# SPDX-License-Identifier: GPL-2.0-only
"""The differences that a minimiser varies: kconfig symbols of two configs, or a cell's devices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvm.bisect.subject import Built
from kvm.bisect.subjects.cell import CellSubject, Parts
from kvm.errors import UserError
from kvm.files import write_whole
from kvm.kernel.config import ConfigSpec
from kvm.matrix.hosting import LAB_CONFIGS
from kvm.say import Say

Build = Callable[[Sequence[str], Say], Built]


@dataclass(frozen=True, slots=True)
class Variants:
    """``names`` are the differences; ``build`` makes the cell with some of them."""

    what: str
    names: tuple[str, ...]
    build: Build


def configs(
    subject: CellSubject, commit: str, names: tuple[str, str], configs_folder: Path, folder: Path
) -> Variants:
    """The guest's kernel with the first config and some of the second one's symbols.

    The requests of the fragments are compared, not the resulting configs. The lab host's kernel
    stays the same. Raises ``UserError`` for configs that do not differ.
    """
    good, bad = (
        {r.symbol: r.value for r in ConfigSpec.named(name, configs_folder).requests()}
        for name in names
    )
    differing = tuple(
        symbol for symbol in dict.fromkeys((*bad, *good)) if bad.get(symbol) != good.get(symbol)
    )
    if not differing:
        raise UserError(
            f"configs {names[0]} and {names[1]} ask for the same", "give two that differ"
        )

    def build(chosen: Sequence[str], say: Say) -> Built:
        asked = {**good, **{symbol: bad.get(symbol, "") for symbol in chosen}}
        text = "".join(_line(symbol, value) for symbol, value in asked.items() if value)
        # Always the same path, to reuse its build folder.
        fragment = folder / "minimise.config"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(fragment, text)
        known_as = hashlib.sha256(text.encode()).hexdigest()[:16]
        cell = subject.cell
        lab = subject.halves(commit, LAB_CONFIGS.get(cell.host, "default"), say)
        guest = subject.workplace.halves(commit, str(fragment), say, known_as=known_as)
        parts = Parts(lab.kernel, guest.kernel, lab.vmm)
        return subject.ready(cell, parts, f"{len(chosen)} of {len(differing)} symbols")

    return Variants("kconfig symbols", differing, build)


def devices(subject: CellSubject, commit: str) -> Variants:
    """The cell's machine with some of its optional devices."""
    cell = subject.cell
    names = (*("rng",) * cell.rng, *(f"disk{n + 1}" for n in range(cell.spare_disks)))
    if not names:
        raise UserError(f"{cell.id} has no optional devices", "give a cell that has some")

    def build(chosen: Sequence[str], say: Say) -> Built:
        disks = sum(name.startswith("disk") for name in chosen)
        varied = replace(cell, rng="rng" in chosen, spare_disks=disks)
        lab = subject.halves(commit, LAB_CONFIGS.get(cell.host, "default"), say)
        guest = subject.halves(commit, cell.config, say)
        parts = Parts(lab.kernel, guest.kernel, guest.vmm)
        built = subject.ready(varied, parts, ", ".join(chosen) or "no optional device")
        return replace(built, key=f"rng={varied.rng} disks={disks}|{built.key}")

    return Variants("devices", names, build)


def _line(symbol: str, value: str) -> str:
    return f"# {symbol} is not set\n" if value == "n" else f"{symbol}={value}\n"
