# SPDX-License-Identifier: GPL-2.0-only
"""An image has the content of the sources in its id, whatever their time stamps say.

The tree is a small one with a Makefile that uses time stamps as kbuild does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kvm import process
from kvm.errors import UserError
from kvm.freshness import RECORD
from kvm.kernel import build, headers, identity, tree
from kvm.kernel.build import Kernel
from kvm.kernel.config import ConfigSpec
from kvm.kernel.identity import SourceId
from kvm.kernel.quick import WholeBuild
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Tree
from support.checkout import Checkout

_MAKEFILE = """\
tinyconfig olddefconfig:
\t@touch $${KCONFIG_CONFIG:-$(O)/.config}
headers_install:
\t@mkdir -p $(INSTALL_HDR_PATH)/include
mrproper:
\t@rm -f $(O)/*.o $(O)/vmlinux $(O)/System.map $(O)/.config $(O)/compiled
vmlinux: $(O)/vmlinux
$(O)/tools/table.h: tools/table.txt
\t@mkdir -p $(O)/tools && cp $< $@
$(O)/vmlinux: $(O)/main.o
\t@$(CC) -nostdlib -static -Wl,-e,0 -o $@ $<
\t@nm $@ >$(O)/System.map
\t@mkdir -p $(O)/include/config && echo 6.12.1 >$(O)/include/config/kernel.release
$(O)/main.o: main.c value.h $(O)/tools/table.h
\t@$(CC) -I$(O)/tools -c -o $@ $<
\t@echo main.o >>$(O)/compiled
"""
_FILES = {
    "Kbuild": "# top\n",
    "Makefile": _MAKEFILE,
    "main.c": '#include "value.h"\n#include "table.h"\nconst char words[] = WORDS TABLE;\n',
    "tools/table.txt": '#define TABLE " table"\n',
    "value.h": '#define WORDS "first"\n',
    "scripts/kconfig/merge_config.sh": "#!/bin/sh\nexit 0\n",
}


@pytest.fixture
def small(checkout: Checkout) -> Checkout:
    checkout.repin("6.12.2", _FILES)
    tree.prepare(checkout.project, lambda text: None)
    (checkout.tree / "scripts/kconfig/merge_config.sh").chmod(0o755)
    return checkout


def built(small: Checkout, said: list[str] | None = None) -> Kernel:
    fragment = small.project.root / "mine.config"
    fragment.write_text("")
    found = tree.prepare(small.project, lambda text: None)
    spec = ConfigSpec("mine", (fragment,))
    return build.build(small.project, found, spec, (said if said is not None else []).append)


def edit(path: Path, text: str, mtime: float) -> None:
    """Leave a file as rsync -a, cp -p or a restored backup does."""
    path.write_text(text)
    os.utime(path, (mtime, mtime))


def compiles(small: Checkout) -> int:
    return len((small.project.build / "kernel/mine/compiled").read_text().splitlines())


@pytest.mark.parametrize("name", ["main.c", "value.h"])
def test_an_edit_that_looks_old_is_compiled(small: Checkout, name: str) -> None:
    before = built(small)
    text = (small.tree / name).read_text()
    edit(small.tree / name, text.replace("words", "others").replace("first", "again"), 1e9)
    after = built(small)
    assert after.id != before.id
    assert (after.vmlinux.read_bytes(), after.system_map.read_text()) != (
        before.vmlinux.read_bytes(),
        before.system_map.read_text(),
    )


def test_an_edit_taken_back_with_its_old_time_stamp_is_compiled(small: Checkout) -> None:
    header = small.tree / "value.h"
    text, mtime = header.read_text(), header.stat().st_mtime
    first = built(small)
    edit(header, '#define WORDS "other"\n', 2e9)
    assert b"other" in built(small).vmlinux.read_bytes()
    edit(header, text, mtime)
    (first.vmlinux).unlink()  # the cache lost it
    assert b"first" in built(small).vmlinux.read_bytes()


def test_an_edit_made_by_a_clock_that_was_set_back_is_compiled(small: Checkout) -> None:
    built(small)
    folder = small.project.build / "kernel/mine"
    for path in (*folder.rglob("*"), folder / RECORD):
        os.utime(path, (4e9, 4e9))  # built while the clock was ahead
    edit(small.tree / "value.h", '#define WORDS "later"\n', 1e9)
    said: list[str] = []
    assert b"later" in built(small, said).vmlinux.read_bytes()
    assert "building from nothing: the clock was set back" in said


def test_what_was_built_there_by_somebody_else_is_not_taken(
    small: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    monkeypatch.setenv("O", str(folder))
    assert b"first" in built(small).vmlinux.read_bytes()
    (folder / RECORD).unlink()
    (folder / "notes").write_text("the user's own")
    edit(small.tree / "value.h", '#define WORDS "later"\n', 1e9)
    said: list[str] = []
    assert b"later" in built(small, said).vmlinux.read_bytes()
    assert "building from nothing: nobody knows what was built there" in said
    assert (folder / "notes").exists()


@pytest.mark.parametrize("whose", ["ours", "the user's"])
def test_what_mrproper_leaves_is_not_taken(
    small: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """6.1's leaves the tables of 6.12's objtool, which it cannot compile."""
    folder = small.project.build / "kernel" / "mine"
    if whose != "ours":
        folder = tmp_path / "mine"
        monkeypatch.setenv("O", str(folder))
    assert b"first table" in built(small).vmlinux.read_bytes()
    (folder / RECORD).unlink()
    edit(small.tree / "tools/table.txt", '#define TABLE " of another"\n', 1e9)
    assert b"first of another" in built(small).vmlinux.read_bytes()


def test_a_build_is_whole_once_the_tree_is_known_to_be_what_was_built(
    small: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may have changed and been compiled meanwhile: quick builds must not rely on it."""
    folder = WholeBuild(small.project.build / "kernel/mine")
    look, looks = identity.source_id, []

    def killed_at_the_second(found: Tree) -> SourceId:
        looks.append(found)
        if len(looks) > 1:
            raise KeyboardInterrupt
        return look(found)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(identity, "source_id", killed_at_the_second)
        built(small)
    assert folder.read() is None
    edit(small.tree / "value.h", '#define WORDS "later"\n', 2e9)
    kernel = built(small)
    whole = folder.read()
    assert whole is not None
    assert whole.source == kernel.source


def test_nothing_changed_compiles_nothing(small: Checkout) -> None:
    kernel = built(small)
    assert compiles(small) == 1
    kernel.vmlinux.unlink()
    built(small)
    assert compiles(small) == 1


@pytest.mark.parametrize("compiler", ["gcc -pipe", "ccache gcc -pipe"])
def test_a_compiler_with_flags_of_its_own_is_taken(
    small: Checkout, monkeypatch: pytest.MonkeyPatch, compiler: str
) -> None:
    plain = built(small)
    monkeypatch.setenv("CC", compiler)
    assert built(small).id != plain.id


@pytest.mark.parametrize(
    ("name", "value"),
    [("KCFLAGS", "-O1"), ("KCPPFLAGS", "-DX"), ("HOSTCFLAGS", "-O1"), ("LOCALVERSION", "-x")],
)
def test_a_variable_that_make_reads_is_in_the_id(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    plain = Toolchain.from_environment()
    monkeypatch.setenv(name, value)
    changed = Toolchain.from_environment()
    assert changed.identity() != plain.identity()
    assert f"{name}={value}" in changed.arguments()


@pytest.mark.parametrize("name", ["MAKEFLAGS", "CPATH", "C_INCLUDE_PATH"])
def test_a_variable_that_is_in_no_id_does_not_reach_the_build(
    small: Checkout, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "CC=false" if name == "MAKEFLAGS" else str(small.project.root))
    made = Toolchain.from_environment().environment(Path("ccache"), small.project.root)
    assert made[name] == ""
    assert b"first" in built(small).vmlinux.read_bytes()


def test_no_call_of_make_sees_what_is_in_no_id(
    small: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This includes make for the config and the headers, and the merging of fragments."""
    calls: list[tuple[str, Mapping[str, str | None]]] = []
    run = process.run

    def spied(argv: Sequence[str | Path], **words: Any) -> process.Completed:
        if Path(argv[0]).name in ("make", "merge_config.sh"):
            calls.append((f"{argv[0]} {argv[-1]}", words.get("env") or {}))
        return run(argv, **words)

    monkeypatch.setattr(process, "run", spied)
    for name in ("MAKEFLAGS", "GNUMAKEFLAGS"):
        monkeypatch.setenv(name, "CC=false")
    monkeypatch.setenv("MAKEFILES", "/nowhere")
    monkeypatch.setenv("KCONFIG_CONFIG", "/nowhere/.config")
    assert b"first" in built(small).vmlinux.read_bytes()
    found = tree.prepare(small.project, lambda text: None)
    headers.install(
        small.project,
        found,
        identity.source_id(found),
        Toolchain.from_environment(),
        lambda text: None,
    )
    assert len(calls) >= 5, calls
    for call, environment in calls:
        assert {environment[n] for n in ("MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES")} == {""}, call
        assert environment["KCONFIG_CONFIG"] not in (None, "/nowhere/.config"), call
        assert environment["CONFIG_"] is None, call


def test_a_compiler_that_is_not_there_is_named(
    small: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UserError, match="no-such-compiler"):
        built(small)
