# SPDX-License-Identifier: GPL-2.0-only
"""A path may contain any character, and a printed command to repeat is read as it was."""

from __future__ import annotations

import random
import shlex
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.matrix.plan import Plan
from kvm.matrix.select import parse_axes
from kvm.run.options import BootOptions
from kvm.spec import words
from kvm.spec.disk import DiskSpec
from kvm.spec.network import NetSpec, VsockSpec
from kvm.spec.share import ShareSpec
from support.asked import boot_options

# Mostly characters with a meaning somewhere on the way.
_ALPHABET = ",,,,\\\\\\=:;'\" $`{}*?~#%&|<>ab.é\n"
_ENDINGS = ("", ".qcow2", ",ro", ",tag=x", "\\", ",", ",qcow2", ".raw")


def _name(source: random.Random) -> str:
    length = source.randint(1, 12)
    name = "".join(source.choice(_ALPHABET) for _ in range(length)) + source.choice(_ENDINGS)
    return name if name not in (".", "..") else "x"


def _path(source: random.Random) -> Path:
    return Path("/" + "/".join(_name(source) for _ in range(source.randint(1, 3))))


def _disk(source: random.Random) -> DiskSpec:
    path = _path(source)
    by_name = "qcow2" if str(path).endswith(".qcow2") else "raw"
    said = source.random() < 0.5
    mode = source.choice(("", "ro", "volatile", "transient"))
    image_format = source.choice(("raw", "qcow2")) if said else by_name
    return DiskSpec(
        path,
        read_only=mode == "ro",
        volatile=mode == "volatile",
        transient=mode == "transient",
        format=image_format,
        direct=source.random() < 0.2,
        format_said=said,
        backing=tuple(_path(source) for _ in range(source.randint(0, 2))),
    )


def _again(options: BootOptions, name: str) -> list[str]:
    """How a shell splits the words of a run's ``repeat`` for the option ``name``."""
    told = shlex.split(options.arguments())
    return [word.removeprefix(name) for word in told if word.startswith(name)]


@pytest.mark.parametrize("seed", range(200))
def test_words_are_put_together_and_taken_apart(seed: int) -> None:
    source = random.Random(seed)
    given = [_name(source) for _ in range(source.randint(1, 4))] + [""] * source.randint(0, 1)
    assert words.split(words.join(given)) == given


def test_a_comma_ends_a_word_unless_a_backslash_stands_before_it() -> None:
    assert words.split("") == [""]
    assert words.split("a,b,") == ["a", "b", ""]
    assert words.split(r"a\,b,c") == ["a,b", "c"]
    assert words.split(r"a\\,b") == ["a\\", "b"]
    assert words.split(r"C:\a\b") == [r"C:\a\b"]
    assert words.split("a\\") == ["a\\"]


@pytest.mark.parametrize("seed", range(200))
def test_a_disk_is_the_same_when_a_run_is_repeated(seed: int) -> None:
    disk = _disk(random.Random(seed))
    (again,) = _again(boot_options(disks=(disk,)), "--disk=")
    assert DiskSpec.parse(again) == disk


@pytest.mark.parametrize("seed", range(100))
def test_a_share_is_the_same_when_a_run_is_repeated(seed: int) -> None:
    source = random.Random(seed)
    share = ShareSpec(_path(source), _name(source), read_only=source.random() < 0.5)
    (again,) = _again(boot_options(shares=(share,)), "--share=")
    assert ShareSpec.parse(again) == share


def test_a_comma_is_written_in_every_option_alike(tmp_path: Path) -> None:
    assert DiskSpec.parse(r"/a\,ro,ro") == DiskSpec(Path("/a,ro"), read_only=True)
    assert DiskSpec.parse(r"/a.qcow2,backing=/b\,c") == DiskSpec(
        Path("/a.qcow2"), format="qcow2", backing=(Path("/b,c"),)
    )
    assert ShareSpec.parse(r"/a\,ro,tag=t") == ShareSpec(Path("/a,ro"), "t")
    assert VsockSpec.parse(r"/a\,cid=3,cid=9").path == Path("/a,cid=3")
    script = tmp_path / "up,down"
    script.touch(0o755)
    net = NetSpec.parse(f"tap=tap0,script={tmp_path}/up\\,down")
    assert net.script == str(script)


def test_an_axis_value_may_hold_a_comma(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "matrix.toml", {"config": ("a,b", "c")}, {}, {}, (), {})
    assert parse_axes(plan, [r"config=a\,b,c"]) == {"config": ("a,b", "c")}


def test_an_unknown_word_is_told_how_a_comma_is_written() -> None:
    with pytest.raises(UserError) as told:
        DiskSpec.parse("/disks/a,b.raw")
    assert "unknown mode 'b.raw'" in str(told.value)
    assert r"\," in str(told.value)
