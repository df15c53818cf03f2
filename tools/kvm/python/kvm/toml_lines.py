# SPDX-License-Identifier: GPL-2.0-only
"""Finds the line of a key or value in a TOML file, which ``tomllib`` does not report."""

from __future__ import annotations

import json
import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-\"]+)\s*\]")
_KEY = re.compile(r"\s*([\w\-]+|\"[^\"]+\")\s*=")

Path = tuple[str | int, ...]


class TomlLines:
    """Finds the line of a path such as ``("subset", "ci", "include", 0, "vcpus")``.

    Knows tables, arrays of tables and keys at the start of a line, as people write plans; anything
    else is placed at the nearest table above.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._places: dict[Path, int] = {}
        counts: dict[Path, int] = {}
        table: Path = ()
        for number, line in enumerate(self._lines, 1):
            if header := _HEADER.match(line):
                table = tuple(word.strip('"') for word in header[2].split("."))
                if header[1] == "[[":
                    self._places.setdefault(table, number)
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._places.setdefault(table, number)
            elif key := _KEY.match(line):
                self._places.setdefault((*table, key[1].strip('"')), number)

    def find(self, path: Path, value: object = None) -> int:
        """The line of ``path``, or of ``value`` in it if that is given and further down."""
        while path and path not in self._places:
            path = path[:-1]
        start = self._places.get(path, 1)
        if value is None:
            return start
        words = value if isinstance(value, str) else json.dumps(value)
        for number in range(start, len(self._lines) + 1):
            line = self._lines[number - 1]
            if re.search(rf"(?<![\w.-]){re.escape(words)}(?![\w.-])", line):
                return number
            if number > start and (_HEADER.match(line) or _KEY.match(line)):
                break
        return start
