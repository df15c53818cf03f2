# SPDX-License-Identifier: GPL-2.0-only
"""The plan, ``tests/matrix.toml``: the axes, the meaning of their values, and named subsets.

A subset is the union of its ``include`` blocks without what ``exclude`` matches. In an include
block an axis has one value or a list, ``"*"`` for all values, and by default the axis' first
value. In an exclude block only the mentioned axes count.
Every mistake is reported with its line.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kvm.errors import UserError
from kvm.matrix.cell import AXES, Cell
from kvm.spec.machine import RINGS, TRANSPORTS
from kvm.toml_lines import TomlLines

_NUMBERS = ("vcpus", "memory")
_TABLES = ("schema", "axes", "devices", "cmdline", "exclude", "subset")
_DEVICE_KEYS = {"rng": bool, "spare_disks": int}
SCHEMA = 1

Value = str | int
Block = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Subset:
    name: str
    title: str
    include: tuple[Block, ...]
    exclude: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan. ``axes`` has the values of every axis; the first is its default."""

    path: Path
    axes: Mapping[str, tuple[Value, ...]]
    devices: Mapping[str, Mapping[str, Any]]
    cmdline: Mapping[str, str]
    exclude: tuple[Block, ...]
    subsets: Mapping[str, Subset]

    def cells(self, subset: str) -> tuple[Cell, ...]:
        """A subset's cells in the order of the plan. Raises ``UserError`` for an unknown subset."""
        if subset not in self.subsets:
            raise UserError(
                f"--subset {subset}: {self.path.name} has no such subset",
                f"use one of {', '.join(self.subsets)}",
            )
        wanted = self.subsets[subset]
        found: dict[str, Cell] = {}
        for block in wanted.include:
            for cell in self.product(block):
                if not any(_matches(cell, rule) for rule in (*self.exclude, *wanted.exclude)):
                    found.setdefault(cell.id, cell)
        return tuple(found.values())

    def product(self, block: Block) -> Iterator[Cell]:
        """The cells of an include block, with nothing excluded."""
        choices = (block.get(axis, self.axes[axis][:1]) for axis in AXES)
        for values in itertools.product(*choices):
            yield self.cell(dict(zip(AXES, values, strict=True)))

    def cell(self, values: Mapping[str, Value]) -> Cell:
        devices, cmdline = str(values["devices"]), str(values["cmdline"])
        return Cell(
            host=str(values["host"]),
            config=str(values["config"]),
            vcpus=int(values["vcpus"]),
            memory_mib=int(values["memory"]),
            transport=str(values["transport"]),
            ring=str(values["ring"]),
            devices=devices,
            cmdline=cmdline,
            workload=str(values["workload"]),
            append=self.cmdline[cmdline],
            **self.devices[devices],
        )


def load(path: Path, workloads: tuple[str, ...]) -> Plan:
    """Read and check a plan; ``workloads`` are the known names."""
    try:
        text = path.read_text()
        record = tomllib.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "restore it with git checkout") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as bad:
        raise UserError(f"{path}: {bad}", "see https://toml.io") from None
    return _Reader(path, TomlLines(text), record, workloads).plan()


def _matches(cell: Cell, rule: Block) -> bool:
    axes = cell.axes
    return all(axes[axis] in map(str, values) for axis, values in rule.items())


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    lines: TomlLines
    record: Mapping[str, Any]
    workloads: tuple[str, ...]

    def plan(self) -> Plan:
        for key in self.record:
            if key not in _TABLES:
                self._wrong((key,), f"unknown table {key!r}", f"use {', '.join(_TABLES)}")
        if self.record.get("schema") != SCHEMA:
            self._wrong(("schema",), f"schema is not {SCHEMA}", f"write schema = {SCHEMA}")
        axes = self._axes()
        devices = self._devices(axes)
        cmdline = self._cmdline(axes)
        exclude = self._blocks(("exclude",), self.record.get("exclude", []), axes)
        return Plan(self.path, axes, devices, cmdline, exclude, self._subsets(axes))

    def _axes(self) -> dict[str, tuple[Value, ...]]:
        given = self._table(("axes",), self.record.get("axes"))
        for axis in given:
            if axis not in AXES:
                self._wrong(("axes", axis), f"unknown axis {axis!r}", f"use {', '.join(AXES)}")
        axes: dict[str, tuple[Value, ...]] = {}
        for axis in AXES:
            values = given.get(axis)
            if not isinstance(values, list) or not values:
                self._wrong(("axes", axis), f"axis {axis!r} needs a list of values")
            for value in values:
                self._check_value(("axes", axis), axis, value)
            axes[axis] = tuple(values)
        return axes

    def _check_value(self, where: tuple[str | int, ...], axis: str, value: object) -> None:
        kind: type = int if axis in _NUMBERS else str
        if type(value) is not kind:
            what = "a number" if kind is int else "a string"
            self._wrong(where, f"{axis} {value!r} is not {what}", value=value)
        if axis == "vcpus" and isinstance(value, int) and not 1 <= value <= 255:
            self._wrong(where, f"{value} vcpus", "a machine has 1 to 255", value=value)
        if axis == "memory" and isinstance(value, int) and not 32 <= value <= 1024:
            self._wrong(
                where, f"{value} MiB", "a guest of a lab host has 32 to 1024 MiB", value=value
            )
        if axis == "host" and value not in ("lab", "lab_debug", "native"):
            self._wrong(where, f"unknown host {value!r}", "use lab, lab_debug or native", value)
        if axis == "transport" and value not in TRANSPORTS:
            self._wrong(where, f"unknown transport {value!r}", "use mmio or pci", value)
        if axis == "ring" and value not in RINGS:
            self._wrong(where, f"unknown ring {value!r}", "use split or packed", value)
        if axis == "workload" and value not in self.workloads:
            known = ", ".join(self.workloads)
            self._wrong(where, f"there is no workload {value!r}", f"use {known}", value)

    def _devices(self, axes: Mapping[str, tuple[Value, ...]]) -> dict[str, dict[str, Any]]:
        given = self._table(("devices",), self.record.get("devices", {}))
        for name, settings in given.items():
            for key, value in self._table(("devices", name), settings).items():
                if key not in _DEVICE_KEYS or type(value) is not _DEVICE_KEYS[key]:
                    self._wrong(
                        ("devices", name, key),
                        f"bad device setting {key} = {value!r}",
                        "use rng = true|false, spare_disks = NUMBER",
                    )
        self._all_defined("devices", axes, given)
        return {name: dict(settings) for name, settings in given.items()}

    def _cmdline(self, axes: Mapping[str, tuple[Value, ...]]) -> dict[str, str]:
        given = self._table(("cmdline",), self.record.get("cmdline", {}))
        for name, words in given.items():
            if not isinstance(words, str):
                self._wrong(("cmdline", name), f"cmdline.{name} is not a string")
        self._all_defined("cmdline", axes, given)
        return dict(given)

    def _all_defined(
        self, axis: str, axes: Mapping[str, tuple[Value, ...]], given: Mapping[str, Any]
    ) -> None:
        for value in axes[axis]:
            if value not in given:
                hint = f"add it to [{axis}]"
                self._wrong(("axes", axis), f"{axis} {value!r} is not defined", hint, value)

    def _subsets(self, axes: Mapping[str, tuple[Value, ...]]) -> dict[str, Subset]:
        given = self._table(("subset",), self.record.get("subset"))
        found: dict[str, Subset] = {}
        for name, raw in given.items():
            where = ("subset", name)
            table = self._table(where, raw)
            for key in table:
                if key not in ("title", "include", "exclude"):
                    self._wrong(
                        (*where, key), f"unknown key {key!r}", "use title, include, exclude"
                    )
            include = self._blocks((*where, "include"), table.get("include"), axes)
            exclude = self._blocks((*where, "exclude"), table.get("exclude", []), axes)
            found[name] = Subset(name, str(table.get("title", "")), include, exclude)
        return found

    def _blocks(
        self, where: tuple[str | int, ...], raw: object, axes: Mapping[str, tuple[Value, ...]]
    ) -> tuple[Block, ...]:
        if not isinstance(raw, list) or not all(isinstance(block, dict) for block in raw):
            self._wrong(where, f"{where[-1]} is not a list of tables", f"write [[{where[0]}...]]")
        blocks = []
        for number, block in enumerate(raw):
            chosen: dict[str, tuple[Value, ...]] = {}
            for axis, values in block.items():
                if axis == "why":
                    continue
                here = (*where, number, axis)
                if axis not in axes:
                    self._wrong(here, f"unknown axis {axis!r}", f"use {', '.join(AXES)}")
                listed = values if isinstance(values, list) else [values]
                for value in listed:
                    if value != "*" and value not in axes[axis]:
                        hint = f"use {', '.join(map(str, axes[axis]))}, or add it to [axes]"
                        self._wrong(here, f"{axis} has no value {value!r}", hint, value)
                chosen[axis] = axes[axis] if "*" in listed else tuple(listed)
            blocks.append(chosen)
        return tuple(blocks)

    def _table(self, where: tuple[str | int, ...], raw: object) -> dict[str, Any]:
        if not isinstance(raw, dict):
            name = ".".join(map(str, where))
            self._wrong(where, f"[{name}] is missing or is not a table")
        return raw

    def _wrong(
        self, where: tuple[str | int, ...], what: str, hint: str = "", value: object = None
    ) -> NoReturn:
        line = self.lines.find(where, value)
        raise UserError(f"{self.path}:{line}: {what}", hint)
