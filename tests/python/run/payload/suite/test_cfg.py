# SPDX-License-Identifier: GPL-2.0-only
"""A ``unittests.cfg`` is read, and no mistake in it is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.payload.suite import cfg


def _write(folder: Path, text: str) -> Path:
    path = folder / cfg.NAME
    path.write_text(text)
    return path


def test_sections_have_their_values_and_lines(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        "# one comment\n\n[first]\nfile = a.flat   # another\nsmp=2\n\n"
        "#[gone]\n#file = gone.flat\n  [second]\nfile = b.flat\ngroups =\n",
    )
    first, second = cfg.read(path)
    assert (first.name, dict(first.values)) == ("first", {"file": "a.flat", "smp": "2"})
    assert (first.where, first.at("smp"), first.at("groups")) == (
        f"{path}:3",
        f"{path}:5",
        f"{path}:3",
    )
    assert (second.name, second.get("file"), second.get("groups")) == ("second", "b.flat", "")


def test_the_old_spelling_means_the_new_one(tmp_path: Path) -> None:
    (section,) = cfg.read(_write(tmp_path, "[a]\nfile = a\nextra_params = -m 1g\n"))
    assert section.get("qemu_params") == "-m 1g"


def test_a_hash_in_quotes_or_in_a_word_is_no_comment(tmp_path: Path) -> None:
    (section,) = cfg.read(
        _write(tmp_path, "[a]\nfile = a#1.flat\ntest_args = 'x # y' # z\ncheck = /a=b#c\n")
    )
    assert section.get("file") == "a#1.flat"
    assert section.get("test_args") == "'x # y'"
    assert section.get("check") == "/a=b#c"


def test_a_value_in_triple_quotes_goes_over_lines(tmp_path: Path) -> None:
    text = '[a]\nfile = a\nqemu_params = """-m 1g \\\n-cpu host # kept\n"""\nsmp = 2\n'
    (section,) = cfg.read(_write(tmp_path, text))
    assert section.get("qemu_params").split() == ["-m", "1g", "-cpu", "host", "#", "kept"]
    assert section.at("smp").endswith(":6")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("file = a.flat\n", 1, "belongs to no test"),
        ("[a]\nfile = a\nfiles = b\n", 3, "'files' is unknown"),
        ("[a]\nfile = a\nsmp 2\n", 3, "neither [name] nor key = value"),
        ("[a\nfile = a\n", 1, "neither [name] nor key = value"),
        ("[a]\nfile = a\n[a]\nfile = b\n", 3, "stands in line 1 already"),
        ("[a]\nfile = a\nextra_params = -m 1g\nqemu_params = -m 2g\n", 4, "in line 3 already"),
        ("[a b]\nfile = a\n", 1, "can't be called 'a b'"),
        ("[../up]\nfile = a\n", 1, "can't be called"),
        ('[a]\nfile = a\nqemu_params = """-m\n1g\n', 3, "never closed"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(UserError) as refused:
        cfg.read(path)
    assert refused.value.message.startswith(f"{path}:{line}: ")
    assert says in refused.value.message
    assert refused.value.hint


def test_a_file_without_a_test_or_not_of_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no test"):
        cfg.read(_write(tmp_path, "# nothing\n"))
    path = tmp_path / cfg.NAME
    path.write_bytes(b"[a]\nfile = \xff\n")
    with pytest.raises(UserError, match="no UTF-8"):
        cfg.read(path)


def test_the_cfg_is_found_in_the_folder_or_in_its_x86(tmp_path: Path) -> None:
    inner = tmp_path / "x86"
    inner.mkdir()
    path = _write(inner, "[a]\nfile = a\n")
    assert cfg.find(tmp_path) == cfg.find(inner) == path


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"neither .*unittests\.cfg nor .*x86/unittests\.cfg exists"
    ):
        cfg.find(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        cfg.find(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        cfg.find(tmp_path / "file")
