# SPDX-License-Identifier: GPL-2.0-only
"""Words that say where a report goes, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.report.targets import parse, put, refuse_twice

_FORMATS = {"html": "html", "md": "markdown", "markdown": "markdown", "json": "json"}


@pytest.mark.parametrize(
    ("word", "parsed"),
    [
        ("a.html", ("html", "a.html")),
        ("json:-", ("json", "-")),
        ("markdown:notes", ("markdown", "notes")),
        ("md:a.html", ("markdown", "a.html")),
        ("odd:name.json", ("json", "odd:name.json")),
    ],
)
def test_a_format_is_named_by_a_suffix_or_before_a_colon(
    word: str, parsed: tuple[str, str]
) -> None:
    assert parse(word, _FORMATS) == parsed


@pytest.mark.parametrize("word", ["-", "", "report", "a.pdf", "pdf:-"])
def test_an_unknown_format_is_told_with_the_known_ones(word: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(word, _FORMATS)
    assert f"--output {word}:" in refused.value.message
    assert ".html, .md or .json, or write FORMAT:FILE" in refused.value.mend


def test_a_format_without_a_file_is_told() -> None:
    with pytest.raises(UserError, match="no file is named"):
        parse("json:", _FORMATS)


def test_one_file_is_not_written_twice() -> None:
    refuse_twice(["a", "b"])
    with pytest.raises(UserError, match="two reports are to be written to a"):
        refuse_twice(["a", "b", "a"])


def test_folders_are_made_and_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    put(str(tmp_path / "new" / "r.md"), "text\n")
    assert (tmp_path / "new" / "r.md").read_text() == "text\n"
    with pytest.raises(UserError, match=r"r\.md/x\.md"):
        put(str(tmp_path / "new" / "r.md" / "x.md"), "text\n")
