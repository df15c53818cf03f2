# SPDX-License-Identifier: GPL-2.0-only
"""The pin file is checked when it is read; errors name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel import pin
from kvm.project import Project

SOURCE = '[[source]]\nkind = "git"\nurl = "https://example.org/l.git"\nref = "v6.12"\n'


def test_the_repositorys_own_pin_loads() -> None:
    loaded = pin.load(Project.find().linux / "pin.toml")
    assert loaded.series == "6.12"
    assert [source.kind.value for source in loaded.sources] == ["debian", "tarball", "git"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = 6.12\n" + SOURCE, "version = 6.12"),
        ('version = "6.12.1"\n', "no [[source]]"),
        ('version = "6.12.1"\n[[source]]\nkind = "cvs"\n', "kind = 'cvs'"),
        ('version = "6.12.1"\n[[source]]\nkind = "git"\nurl = "x"\n', "source 1: ref is missing"),
        ('version = "6.12.1"\n' + SOURCE + "colour = 1\n", "unknown key 'colour'"),
        ('version = "6.12.1"\n[[source]]\nkind = "tarball"\nurl = "x"\n', "neither sha256 nor"),
        ("version = \n", "line 1"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "pin.toml"
    path.write_text(text)
    with pytest.raises(UserError) as wrong:
        pin.load(path)
    assert words in str(wrong.value)
    assert str(path) in str(wrong.value)
