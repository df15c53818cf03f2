# SPDX-License-Identifier: GPL-2.0-only
"""``git bisect run ...build-and-boot`` finds the commit despite revisions that prove nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import scratch
from support.checkout import git
from support.scratch import Scratch

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("git-bisect"), pytest.mark.timeout(1900)]

_PACKAGE = "tools/kvm/python/kvm"
_MAIN = "int main(int argc, char **argv)\n{\n"
# What prevents a verdict, with the file that is broken and the text added to it.
_NON_VERDICTS = {
    "a fragment that is no kconfig": ("linux/configs/default.config", "CONFIG_KVM y\n"),
    "a symbol that cannot be set": ("linux/configs/default.config", "CONFIG_MODULE_SIG=y\n"),
    "a VMM that does not compile": ("tools/kvm/src/machine/machine.cpp", "this is no C++\n"),
    "a VMM that meson refuses": ("meson.build", "this is no meson\n"),
    "an init that does not compile": ("tools/kvm/guest/init.c", "this is no C\n"),
    "commands that do not load": ("tasks.py", "this is no Python\n"),
    "Python that does not load": (f"{_PACKAGE}/errors.py", "this is no Python\n"),
    "Python that fails": (f"{_PACKAGE}/run/halves.py", "raise RuntimeError('of a bug')\n"),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Scratch]:
    made = scratch.make(tmp_path / "checkout")
    git(made.root, "init", "-q", "--initial-branch=main")
    git(made.root, "add", "--all")
    git(made.root, "commit", "-qm", "base")
    yield made
    made.run("lab.stop")


def test_the_commit_is_found_among_revisions_without_a_verdict(checkout: Scratch) -> None:
    kinds = list(_NON_VERDICTS)
    good = git(checkout.root, "rev-parse", "HEAD").strip()
    for kind in kinds[::2]:
        _break(checkout, kind)
    _commit(checkout, "fix it")
    init = checkout.root / "tools/kvm/guest/init.c"
    assert init.read_text().count(_MAIN) == 1
    init.write_text(init.read_text().replace(_MAIN, f"{_MAIN}\treturn 1;\n"))
    culprit = _commit(checkout, "leave init at once")
    for kind in kinds[1::2]:
        _break(checkout, kind)
    bad = _commit(checkout, "change nothing more")

    git(checkout.root, "bisect", "start", bad, good)
    command = f"{shlex.quote(sys.executable)} -P -m kvm --search-root . build-and-boot"
    found = _bisect(checkout, command)
    assert f"{culprit} is the first bad commit" in found, found


def _break(checkout: Scratch, kind: str) -> None:
    """Commit it and its revert, so that each revision has at most one trouble."""
    name, words = _NON_VERDICTS[kind]
    path = checkout.root / name
    whole = path.read_text()
    path.write_text(whole + words)
    _commit(checkout, kind)
    path.write_text(whole)


def _commit(checkout: Scratch, subject: str) -> str:
    git(checkout.root, "commit", "-q", "--all", "--allow-empty", "-m", subject)
    return git(checkout.root, "rev-parse", "HEAD").strip()


def _bisect(checkout: Scratch, command: str) -> str:
    """All output of git, with that of each run."""
    done = subprocess.run(
        ("git", "bisect", "run", "sh", "-c", command),
        cwd=checkout.root,
        env={**os.environ, **checkout.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,  # it may have to compile a whole kernel
        check=False,
    )
    return done.stdout + done.stderr
