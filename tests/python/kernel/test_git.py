# SPDX-License-Identifier: GPL-2.0-only
"""A user's git configuration does not change what is saved, applied or identified."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kvm.kernel import identity, tree
from kvm.kernel.git import Repository
from support.checkout import Checkout, git

_ANNOYING = """\
[diff]
    noprefix = true
    context = 1
    mnemonicPrefix = true
    external = false
[format]
    signOff = true
    subjectPrefix = RFC
    attach = true
    to = somebody@example.org
    thread = shallow
[commit]
    gpgSign = true
    template = /nowhere
[core]
    autocrlf = true
    excludesFile = {excludes}
    hooksPath = {hooks}
    quotePath = false
[apply]
    whitespace = error-all
[status]
    showUntrackedFiles = no
[i18n]
    commitEncoding = ISO-8859-1
[user]
    name = Zoë Müller-Lüdenscheidt von und zu Übersee
    email = zoe@example.org
"""


def quiet(text: str) -> None:
    pass


def saved(checkout: Checkout, tmp_path: Path) -> dict[str, str]:
    """Patches of an edit, a new file and a trailing blank, and the tree's id with them."""
    tree.prepare(checkout.project, quiet)
    main = checkout.tree / "init/main.c"
    main.write_text(main.read_text().replace("line 20\n", "line twenty \n"))
    (checkout.tree / "init/new.c").write_text("new\n")
    tree.save(checkout.project, quiet, message="init: say it in words\n\nÄrger mit Umlauten.")
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in checkout.patches.iterdir()
    }
    checkout.tree.rename(tmp_path / "old")
    tree.prepare(checkout.project, quiet)  # applies the saved patches
    found["tree"] = identity.source_id(tree.locate(checkout.project)).tree
    return found


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder whose git configuration has only a name."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (home / ".gitconfig").write_text(_ANNOYING[_ANNOYING.index("[user]") :])
    monkeypatch.setenv("GIT_AUTHOR_DATE", "")
    monkeypatch.delenv("GIT_AUTHOR_DATE")
    return home


def annoying(tmp_path: Path) -> str:
    excludes = tmp_path / "excludes"
    excludes.write_text("*.c\n")
    hooks = tmp_path / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("prepare-commit-msg", "post-commit", "post-checkout", "reference-transaction"):
        hook = hooks / name
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    return _ANNOYING.format(excludes=excludes, hooks=hooks)


def without_dates(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name in ("series", "tree")}


def text_of(checkout: Checkout) -> str:
    (patch,) = checkout.patches.glob("*.patch")
    lines = patch.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("Date: "))


@pytest.mark.parametrize("where", ["global", "local", "environment", "system"])
def test_a_patch_is_the_same_for_every_user(
    checkout: Checkout, tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    expected = without_dates(saved(checkout, tmp_path))
    text = text_of(checkout)
    assert "--- a/init/main.c" in text
    (checkout.patches / "series").write_text("")
    for path in checkout.patches.glob("*.patch"):
        path.unlink()
    config = annoying(tmp_path)
    if where == "global":
        (plain / ".gitconfig").write_text(config)
    elif where == "system":
        (tmp_path / "system").write_text(config)
        monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "system"))
    elif where == "local":
        with (checkout.tree / ".git/config").open("a") as file:
            file.write(config)
    else:
        for name, value in {
            "GIT_EXTERNAL_DIFF": "false",
            "GIT_DIFF_OPTS": "-u1",
            "GIT_DIR": "/nowhere",
            "GIT_INDEX_FILE": "/nowhere/index",
            "GIT_CONFIG_PARAMETERS": "'diff.noprefix'='true'",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "diff.noprefix",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_LITERAL_PATHSPECS": "1",
            "LANGUAGE": "de",
            "LC_ALL": "de_DE.UTF-8",
        }.items():
            monkeypatch.setenv(name, value)
    (tmp_path / "old").rename(tmp_path / "older")
    assert without_dates(saved(checkout, tmp_path)) == expected
    assert text_of(checkout) == text


def test_an_author_comes_back_as_written(checkout: Checkout, tmp_path: Path, plain: Path) -> None:
    saved(checkout, tmp_path)
    author = git(checkout.tree, "log", "-1", "--format=%an <%ae>%n%B").splitlines()
    assert author[0] == "Zoë Müller-Lüdenscheidt von und zu Übersee <zoe@example.org>"
    assert "Ärger mit Umlauten." in author


def test_a_latin_1_mail_is_read_as_what_it_says(checkout: Checkout) -> None:
    tree.prepare(checkout.project, quiet)
    main = checkout.tree / "init/main.c"
    main.write_text(main.read_text().replace("line 20\n", "line twenty\n"))
    (name,) = tree.save(checkout.project, quiet)
    patch = checkout.patches / name
    diff = patch.read_bytes()[patch.read_bytes().index(b"diff --git") :]
    patch.write_bytes(
        b"From: =?ISO-8859-1?Q?J=F6rg?= <joerg@example.org>\n"
        b"Date: Sat, 1 Jan 2022 00:00:00 +0000\n"
        b"Subject: [PATCH] init: =?ISO-8859-1?Q?f=FCr?= everybody\n"
        b"MIME-Version: 1.0\n"
        b"Content-Type: text/plain; charset=ISO-8859-1\n"
        b"Content-Transfer-Encoding: 8bit\n\nSch\xf6n.\n---\n" + diff
    )
    git(checkout.tree, "reset", "--quiet", "--hard", "tools-kvm-base")
    (checkout.tree / ".git" / tree.STATE_FILE).unlink()
    tree.prepare(checkout.project, quiet)
    tree.prepare(checkout.project, quiet)
    words = git(checkout.tree, "log", "-1", "--format=%an|%ae|%s|%b").strip()
    assert words == "Jörg|joerg@example.org|init: für everybody|Schön."


def test_a_repository_of_somebody_else_is_read(checkout: Checkout, plain: Path) -> None:
    """Git checks that the owner is the caller; in a CI runner's checkout it may not be."""
    tree.prepare(checkout.project, quiet)
    assert Repository(checkout.tree).commit_of("HEAD") is not None
    assert Repository(checkout.tree).commit_of("no-such-revision") is None
