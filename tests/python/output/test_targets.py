# SPDX-License-Identifier: GPL-2.0-only
"""Words that name a report's target, and the messages about wrong ones."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kvm.errors import UsageError, UserError
from kvm.output.targets import opened, parse, put, refuse_twice

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
    assert ".html, .md or .json, or write FORMAT:FILE" in refused.value.hint


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


@pytest.mark.parametrize("name", ["file/x.json", "folder", "socket"])
def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError, match=f"nothing can be written to .*{name}"):  # noqa: SIM117
            with opened(str(tmp_path / "new.json"), str(tmp_path / name)):
                pytest.fail("the work began")
    assert not (tmp_path / "new.json").exists()


def test_what_fails_afterwards_is_told_and_spoils_a_good_exit_code_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with opened("/dev/full", "") as outputs:
        assert (outputs.exit_code(0), outputs.exit_code(1)) == (0, 1)
        outputs.put("/dev/full", "text\n")
        assert (outputs.exit_code(0), outputs.exit_code(1)) == (125, 1)
    said = capsys.readouterr().err
    assert said == "error: /dev/full could not be written: No space left on device\n"


def test_one_report_that_fails_does_not_keep_the_next_from_being_written(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    with opened("/dev/full", str(good)) as outputs:
        outputs.put("/dev/full", "text\n")
        outputs.put(str(good), "text\n")
    assert good.read_text() == "text\n"


def test_the_same_file_twice_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two reports"), opened("-", "-"):
        pytest.fail("the work began")


def test_work_that_is_given_up_leaves_no_file_and_no_words_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("PASS")
    with pytest.raises(KeyboardInterrupt), opened(str(new), str(old)):
        raise KeyboardInterrupt
    assert (new.exists(), old.read_text()) == (False, "")
