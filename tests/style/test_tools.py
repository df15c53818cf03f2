# SPDX-License-Identifier: GPL-2.0-only
"""Runs the linters as tests, so that one command says whether a change is ready."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kvm import process
from support.prepared import require


def _must_pass(argv: tuple[str | Path, ...], root: Path) -> None:
    done = process.run(argv, cwd=root, timeout_s=240, check=False)
    assert done.ok, f"{' '.join(done.argv)}\n{done.output}"


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",), ("codespell_lib",)],
    ids=lambda arguments: " ".join(arguments),
)
def test_python_tool_finds_nothing(arguments: tuple[str, ...], root: Path) -> None:
    _must_pass((sys.executable, "-m", *arguments), root)


def _shell_scripts(texts: dict[str, str]) -> list[str]:
    return [name for name, text in texts.items() if text.startswith("#!/bin/sh")]


def test_shell_scripts_parse(texts: dict[str, str], root: Path) -> None:
    for name in _shell_scripts(texts):
        _must_pass(("sh", "-n", root / name), root)


def _beside_python(name: str) -> str:
    """A program that pip installed with the other tools."""
    found = Path(sys.executable).parent / name
    require(found.exists(), f"{name} is not installed", "./invoke --version")
    return str(found)


def test_shellcheck_finds_nothing(texts: dict[str, str], root: Path) -> None:
    _must_pass((_beside_python("shellcheck"), *_shell_scripts(texts)), root)


def _cpp(texts: dict[str, str]) -> list[str]:
    return [name for name in texts if name.endswith((".cpp", ".hpp"))]


def test_clang_format_changes_nothing(texts: dict[str, str], root: Path) -> None:
    words = ("--dry-run", "-Werror", *_cpp(texts))
    _must_pass((_beside_python("clang-format"), *words), root)


# cppcheck's complaints about sound code: aggregates have no constructor, the first element of a
# span dies with the span, and what is moved from a parameter or a variant is copied.
_UNSOUND = ("uninitMemberVarNoCtor", "danglingTempReference", "passedByValue", "returnStdMoveLocal")


def test_cppcheck_finds_nothing(texts: dict[str, str], root: Path) -> None:
    sources = [name for name in _cpp(texts) if name.startswith("tools/")]
    words = (
        *("--enable=warning,performance,portability", "--std=c++20", "--language=c++", "-q"),
        *("--error-exitcode=1", "--suppress=missingInclude", "-I", "tools/kvm/src"),
        *(f"--suppress={name}" for name in _UNSOUND),
    )
    _must_pass((_beside_python("cppcheck"), *words, *sources), root)
