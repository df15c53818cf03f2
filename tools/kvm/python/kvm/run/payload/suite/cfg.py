# SPDX-License-Identifier: GPL-2.0-only
"""Reads ``unittests.cfg``: sections ``[name]`` with lines ``key = value``.

The format is kvm-unit-tests' (its docs/unittests.txt). Its own runner ignores what it does not
know. Here a mistake is an error with file and line, so that no test is left out unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kvm.errors import UserError

NAME = "unittests.cfg"
ARCH_FOLDER = "x86"
_KEYS = (
    "file",
    "arch",
    "machine",
    "smp",
    "test_args",
    "qemu_params",
    "kvmtool_params",
    "groups",
    "accel",
    "timeout",
    "check",
    "disabled_if",
)
_OLD_NAMES = {"extra_params": "qemu_params"}
_SECTION = re.compile(r"\[(?P<name>[^\[\]]+)\]")
# A section's name is also that of a folder of results, and a word of -k.
_NAME = re.compile(r"[^\s,/.-][^\s,/]*")
_PAIR = re.compile(r"(?P<key>[A-Za-z_]\w*)\s*=\s*(?P<value>.*)")
_LONG = '"""'


@dataclass(frozen=True, slots=True)
class Section:
    """One test. ``where`` is its file and line; ``lines`` has the line of each key's value."""

    name: str
    path: Path
    line: int
    values: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    def get(self, key: str) -> str:
        """The value, as written; "" where the section has none."""
        return self.values.get(key, "")

    def at(self, key: str) -> str:
        """File and line of a value, or of the section that lacks it."""
        return f"{self.path}:{self.lines.get(key, self.line)}"


def find(folder: Path) -> Path:
    """The cfg in a folder of payloads or in a whole kvm-unit-tests checkout."""
    places = (folder / NAME, folder / ARCH_FOLDER / NAME)
    for place in places:
        if place.is_file():
            return place
    if not folder.exists():
        raise UserError(f"the suite {folder} does not exist", "give the path of a folder")
    if not folder.is_dir():
        raise UserError(f"the suite {folder} is a file", f"give the folder that has {NAME}")
    raise UserError(
        f"neither {places[0]} nor {places[1]} exists",
        "give the folder that has it: kvm-unit-tests, or its x86",
    )


def read(path: Path) -> tuple[Section, ...]:
    """All sections in the order of the file. Raises ``UserError`` with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "make it readable") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is no UTF-8", "save it as UTF-8") from error
    sections = tuple(_Reader(path, text.splitlines()).sections())
    if not sections:
        raise UserError(f"{path} has no test", "add a [name] section with a line file = NAME.flat")
    return sections


def without_comment(line: str) -> str:
    """The line up to a ``#`` that is at its start or after a blank, and not in quotes."""
    quote = ""
    for index, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index].rstrip()
    return line.rstrip()


class _Reader:
    """Goes through the lines once; ``_line`` is the number of the last line taken."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self._path = path
        self._lines = lines
        self._line = 0
        self._first: dict[str, int] = {}

    def sections(self) -> Iterator[Section]:
        section: Section | None = None
        values: dict[str, str] = {}
        lines: dict[str, int] = {}
        while self._line < len(self._lines):
            text = without_comment(self._next()).strip()
            if matched := _SECTION.fullmatch(text):
                if section is not None:
                    yield section
                values, lines = {}, {}
                section = Section(
                    self._new_name(matched["name"]), self._path, self._line, values, lines
                )
            elif matched := _PAIR.fullmatch(text):
                if section is None:
                    raise self._wrong(f"{text!r} belongs to no test", "put it below a [name] line")
                self._take(matched["key"], matched["value"], values, lines)
            elif text:
                raise self._wrong(
                    f"{text!r} is neither [name] nor key = value", "write one of the two, or #"
                )
        if section is not None:
            yield section

    def _new_name(self, name: str) -> str:
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise self._wrong(
                f"a test can't be called {name!r}", "use a word without blanks, commas and slashes"
            )
        if name in self._first:
            raise self._wrong(
                f"[{name}] stands in line {self._first[name]} already", "give it a name of its own"
            )
        self._first[name] = self._line
        return name

    def _take(self, given: str, value: str, values: dict[str, str], lines: dict[str, int]) -> None:
        key = _OLD_NAMES.get(given, given)
        if key not in _KEYS:
            known = ", ".join((*_KEYS, *_OLD_NAMES))
            raise self._wrong(f"{given!r} is unknown", f"use one of {known}")
        if key in values:
            raise self._wrong(f"{given} was given in line {lines[key]} already", "keep one of them")
        lines[key] = self._line
        values[key] = self._long(value) if value.startswith(_LONG) else value

    def _long(self, value: str) -> str:
        """A value over several lines, between triple quotes; a backslash joins two lines."""
        begun = self._line
        text = value.removeprefix(_LONG)
        while not (text.rstrip().endswith(_LONG)):
            if self._line == len(self._lines):
                self._line = begun
                raise self._wrong(f"the {_LONG} is never closed", f"end the value with {_LONG}")
            backslashes = len(text) - len(text.rstrip("\\"))
            joined = text[:-1] if backslashes % 2 else f"{text}\n"
            text = joined + self._next()
        return text.rstrip().removesuffix(_LONG)

    def _next(self) -> str:
        self._line += 1
        return self._lines[self._line - 1]

    def _wrong(self, what: str, hint: str) -> UserError:
        return UserError(f"{self._path}:{self._line}: {what}", hint)
