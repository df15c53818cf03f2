# SPDX-License-Identifier: GPL-2.0-only
"""Rules for every file: licence header, size, and no traces of one machine."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_SPDX = "SPDX-License-Identifier: GPL-2.0-only"
_SOURCE_SUFFIXES = frozenset(
    (".py", ".pyi", ".cpp", ".hpp", ".c", ".h", ".S", ".sh", ".toml", ".config", ".yml", ".yaml")
)
_SOURCE_NAMES = frozenset(("meson.build", "meson.options", "packages.txt", ".clang-format"))
_MAX_LINES = 500
_MAX_TASK_LINES = 200

# Written in pieces, so that this file does not violate its own rule.
_MACHINE = {
    "a path of one machine": r"(?<![\w.$}])/(?:home/\w|Users/\w|root/\.|work/)|/tmp/" + "exp",
    "a package index's host": "|".join(
        name.replace(".", r"\.")
        for name in ("pypi" + ".org", "python" + "hosted.org", "deb.debian" + ".org")
    ),
}


def _is_source(name: str, text: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix in _SOURCE_SUFFIXES or path.name in _SOURCE_NAMES or text.startswith("#!")


def test_every_source_file_names_its_licence_first(texts: dict[str, str]) -> None:
    lacking = [
        name
        for name, text in texts.items()
        if text.strip() and _is_source(name, text) and _SPDX not in "".join(_first_lines(text))
    ]
    assert not lacking, f"first line (second after #!) must be a comment with {_SPDX}: {lacking}"


def _first_lines(text: str) -> list[str]:
    return text.splitlines()[: 2 if text.startswith("#!") else 1]


def test_source_files_hold_one_idea(texts: dict[str, str]) -> None:
    long = {
        name: lines
        for name, text in texts.items()
        if _is_source(name, text) and (lines := text.count("\n")) > _MAX_LINES
    }
    assert not long, f"more than {_MAX_LINES} lines, split by idea: {long}"


def test_tasks_hold_no_logic(texts: dict[str, str]) -> None:
    lines = texts.get("tasks.py", "").count("\n")
    assert lines <= _MAX_TASK_LINES, f"tasks.py has {lines} lines; move logic into the package"


def test_no_file_knows_one_machine(texts: dict[str, str]) -> None:
    found = [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in _MACHINE.items()
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)


def test_text_ends_with_one_newline_and_no_trailing_blanks(texts: dict[str, str]) -> None:
    bad = [
        name
        for name, text in texts.items()
        if _is_source(name, text)
        and text
        and (not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]+$", text, re.M))
    ]
    assert not bad, bad
