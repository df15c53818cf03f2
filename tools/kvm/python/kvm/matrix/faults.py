# SPDX-License-Identifier: GPL-2.0-only
"""The list of planted faults, ``tests/matrix/planted/faults.toml``. Errors name their line.

[[fault]]
name = "vmm-missed-flush"
half = "vmm"                          # or "kernel"
patch = "vmm-missed-flush.patch"      # relative to that half's root
what = "a flush is answered at once"
cells = ["CELL", "CELL"]              # those not expected to fail must pass
expect = [{ cell = "CELL", reasons = ["check-failed"] }]
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kvm.errors import UserError
from kvm.toml_lines import TomlLines
from kvm.verdict.vocabulary import Reason

_STRINGS = ("name", "half", "patch", "what")
_KEYS = (*_STRINGS, "cells", "expect")
_HALVES = ("kernel", "vmm")
# These blame the surroundings, or mean that the fault could not be tried.
_NO_PROOF = (Reason.OK, Reason.NONE, Reason.BUILD_FAILURE, Reason.INFRASTRUCTURE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One planted fault; ``expect`` maps each cell that must fail to its allowed reasons."""

    name: str
    half: str
    patch: Path
    what: str
    cells: tuple[str, ...]
    expect: Mapping[str, tuple[Reason, ...]]


def load(path: Path, cells: Collection[str]) -> tuple[Fault, ...]:
    """Read and check the list; ``cells`` are the known ids. Raises ``UserError``."""
    try:
        text = path.read_text()
        record = tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "restore it with git checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise UserError(f"{path}: {bad}", "see https://toml.io") from None
    return _Reader(path, TomlLines(text), cells).faults(record)


def chosen(known: Sequence[Fault], expression: str) -> tuple[Fault, ...]:
    """The faults with ``expression`` in their name; raises ``UserError`` if there are none."""
    found = tuple(fault for fault in known if expression in fault.name)
    if not found:
        names = ", ".join(fault.name for fault in known)
        raise UserError(f"-k {expression}: no planted fault has that in its name", f"use {names}")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    lines: TomlLines
    known: Collection[str]

    def faults(self, record: Mapping[str, Any]) -> tuple[Fault, ...]:
        for key in record:
            if key != "fault":
                self._wrong((key,), f"{key!r} is unknown", "write [[fault]] tables")
        listed = record.get("fault", [])
        if not isinstance(listed, list) or not listed:
            self._wrong(("fault",), "no faults", "write [[fault]] tables")
        found: dict[str, Fault] = {}
        for number, entry in enumerate(listed):
            fault = self._fault(number, entry)
            if fault.name in found:
                self._wrong(("fault", number, "name"), f"{fault.name!r} stands here twice")
            found[fault.name] = fault
        return tuple(found.values())

    def _fault(self, number: int, entry: Mapping[str, Any]) -> Fault:
        for key in entry:
            if key not in _KEYS:
                self._wrong(("fault", number, key), f"{key!r} is unknown", f"use {_all(_KEYS)}")
        for key in _STRINGS:
            if not isinstance(entry.get(key), str) or not entry[key]:
                self._wrong(("fault", number, key), f"{key} is missing or no string")
        if entry["half"] not in _HALVES:
            self._wrong(("fault", number, "half"), f"half {entry['half']!r}", "use kernel or vmm")
        patch = self.path.parent / entry["patch"]
        if not patch.is_file():
            self._wrong(("fault", number, "patch"), f"{patch} does not exist")
        cells = self._cells(number, entry.get("cells"))
        expect = self._expect(number, entry.get("expect"), cells)
        return Fault(entry["name"], entry["half"], patch, entry["what"], cells, expect)

    def _cells(self, number: int, listed: object) -> tuple[str, ...]:
        where = ("fault", number, "cells")
        if not isinstance(listed, list) or not listed:
            self._wrong(where, "cells is not a list of cell ids")
        for cell in listed:
            if cell not in self.known:
                hint = "see ./invoke test --matrix --subset full --list"
                self._wrong(where, f"subset full has no cell {cell!r}", hint, cell)
        return tuple(dict.fromkeys(listed))

    def _expect(
        self, number: int, listed: object, cells: tuple[str, ...]
    ) -> dict[str, tuple[Reason, ...]]:
        where = ("fault", number, "expect")
        if not isinstance(listed, list) or not listed:
            self._wrong(where, "expect is not a list", 'write [{ cell = "…", reasons = ["…"] }]')
        found: dict[str, tuple[Reason, ...]] = {}
        for item in listed:
            if not isinstance(item, dict) or set(item) != {"cell", "reasons"}:
                self._wrong(where, f"{item!r} has not just cell and reasons")
            if item["cell"] not in cells:
                self._wrong(where, f"{item['cell']!r} is not one of its cells", "add it to cells")
            found[item["cell"]] = self._reasons(where, item["reasons"])
        return found

    def _reasons(self, where: tuple[str | int, ...], listed: object) -> tuple[Reason, ...]:
        if not isinstance(listed, list) or not listed:
            self._wrong(where, "reasons is not a list")
        words = {reason.value: reason for reason in Reason if reason not in _NO_PROOF}
        for word in listed:
            if word not in words:
                self._wrong(where, f"no fault shows as {word!r}", f"use {_all(words)}", word)
        return tuple(words[word] for word in listed)

    def _wrong(
        self, where: tuple[str | int, ...], what: str, hint: str = "", value: object = None
    ) -> NoReturn:
        raise UserError(f"{self.path}:{self.lines.find(where, value)}: {what}", hint)


def _all(words: Collection[str]) -> str:
    return ", ".join(words)
