# SPDX-License-Identifier: GPL-2.0-only
"""Repositories of our own under ``build/bisect``, in which revisions are built.

They borrow the objects of the user's repositories and write none to them; the user's checkout,
index and kernel tree are only read. The checkout is kept from step to step, so builds stay
incremental. Each revision is built by its own ``invoke build``, which knows how to build it.
With ``KERNEL_TREE`` the kernel's own history is searched, and the checkout stays at its commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.bisect.journal import Journal
from kvm.bisect.model import Axis, Commit, Mix
from kvm.bisect.subject import Unbuildable
from kvm.kernel import build, tree
from kvm.kernel.git import Repository
from kvm.kernel.tree import Mode
from kvm.project import Project
from kvm.run import revision
from kvm.run.halves import Halves
from kvm.say import Say
from kvm.vm.build import SOURCES, Vmm

KERNEL_PATHS = ("linux",)
_BUILD_DEADLINE_S = 4 * 3600.0
_TAIL_LINES = 3
# Texts of ``BuildError``: a compile error is permanent. A full disk or a lost network is not.
_COMPILER_WORDS = ("does not build", "does not compile", "could not configure")


@dataclass(slots=True)
class Workplace:
    """``searched`` has the history, ``checkout`` is a whole checkout of this project.

    ``external``: the history is a kernel's, and ``searched`` is a clone of it.
    """

    project: Project
    journal: Journal
    checkout: Project
    searched: Repository
    external: bool
    head: str  # the checkout's commit with which an external kernel is tested
    kernels_built: int = 0
    vmms_built: int = 0

    @classmethod
    def make(cls, project: Project, journal: Journal, say: Say) -> Workplace:
        """Copy what is missing. Raises ``UserError`` if that is impossible."""
        folder = project.build / "bisect"
        source = tree.locate(project)
        head = revision.resolve(project, "HEAD")
        checkout = revision.checkout(project, head, say, folder / "checkout")
        if source.mode is not Mode.EXTERNAL:
            return cls(project, journal, checkout, Repository(checkout.root), False, head)
        clone = folder / "kernel"
        revision.clone(source.path, clone, say)
        return cls(project, journal, checkout, Repository(clone), True, head)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that a commit must touch to change a half."""
        return () if self.external else (*KERNEL_PATHS, *SOURCES)

    def paths_of(self, axis: Axis) -> tuple[str, ...]:
        """The paths of one part of a machine; in a kernel's own history, all paths."""
        if self.external:
            return ()
        return SOURCES if axis is Axis.VMM else KERNEL_PATHS

    def commit(self, commit_id: str) -> Commit:
        """A commit with the data that people want to see."""
        words = self.searched.call(
            "show", "-s", "--format=%s%x00%an <%ae>%x00%as", commit_id
        ).split("\0")
        return Commit(commit_id, words[0], words[1], words[2], self._halves(commit_id))

    def halves(self, commit: str, config: str, say: Say, *, known_as: str = "") -> Halves:
        """Both halves of ``commit``, from an earlier build if possible. Raises ``Unbuildable``.

        ``known_as`` identifies the content of a config that is a file.
        """
        key = f"{known_as or config}|{self.content(commit)}"
        if (why := self.journal.broken.get(key)) is not None:
            raise Unbuildable(why)
        known = self.journal.builds.get(key)
        if known is not None and (found := _halves(known, config)) is not None:
            return found
        self.move(commit)
        started = time.time()
        done = process.run(
            (sys.executable, "-m", "invoke", "build", "--config", config),
            cwd=self.checkout.root,
            env=self.environment,
            on_line=lambda line: say(line.strip()),
            check=False,
            timeout_s=_BUILD_DEADLINE_S,
        )
        answer = _answer(done.output) if done.ok else None
        found = _halves(answer, config) if answer is not None else None
        if answer is None or found is None:
            why = f"does not build: {last_words(done.output)}"
            if any(words in done.output for words in _COMPILER_WORDS):
                self.journal.add_broken(key, why)
            raise Unbuildable(why)
        self.kernels_built += _is_new(found.kernel.folder / "meta.json", started)
        self.vmms_built += any(
            _is_new(core, started) for core in found.vmm.folder.glob("kvm/_core*.so")
        )
        self.journal.add_build(key, answer)
        return found

    def content(self, commit: str, paths: tuple[str, ...] | None = None) -> str:
        """An id of the content of a commit's halves (or of ``paths``)."""
        chosen = self.paths if paths is None else paths
        if not chosen:
            return self.searched.call("rev-parse", f"{commit}^{{tree}}")
        listing = self.searched.output("ls-tree", commit, "--", *chosen)
        return hashlib.sha256(listing).hexdigest()[:16]

    def move(self, commit: str) -> None:
        """Move the searched work tree to ``commit``; build results there stay."""
        here = self.searched
        (here.git_dir / "index.lock").unlink(missing_ok=True)  # left by a killed git
        here.call("checkout", "--quiet", "--force", "--detach", commit)
        here.call("clean", "-fdq")

    def mixed(self, mix: Mix) -> str:
        """A commit with the kernel half of one commit and all else of another."""
        if mix.guest == mix.vmm or self.external:
            return mix.guest
        here = self.searched
        with here.scratch_index(mix.vmm) as env:
            here.call("rm", "-rf", "--quiet", "--cached", "--", *KERNEL_PATHS, env=env)
            here.call("read-tree", "--prefix=linux/", f"{mix.guest}:linux", env=env)
            return self.synthetic(here.call("write-tree", env=env), mix.vmm)

    def synthetic(self, git_tree: str, parent: str) -> str:
        """A commit of ours with these files; the same files give the same commit."""
        env = {"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z"}
        words = ("commit-tree", git_tree, "-p", parent, "-m", "mixed by bisect")
        return self.searched.call(*words, env=env)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for commands in the checkout; "" stands for one that must not be passed on."""
        unwanted = ("O", "KBUILD_OUTPUT", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
        return {
            "KERNEL_TREE": str(self.searched.path) if self.external else "",
            "PYTHONPATH": str(self.checkout.root / "tools" / "kvm" / "python"),
            **dict.fromkeys(unwanted, ""),
        }

    def _halves(self, commit: str) -> tuple[str, ...]:
        if self.external:
            return ("kernel",)
        named = self.searched.call(
            *("diff-tree", "-r", "-m", "--first-parent", "--no-commit-id", "--name-only"),
            *("--root", commit),
        ).splitlines()
        found = []
        if any(name.startswith("linux/") for name in named):
            found.append("kernel")
        if any(name == path or name.startswith(f"{path}/") for name in named for path in SOURCES):
            found.append("vmm")
        return tuple(found)


def _answer(output: str) -> dict[str, str] | None:
    """Parse the last output of ``invoke build``: ``kernel LABEL FOLDER`` and ``vmm FOLDER``."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "kernel" and words[2][0] == "/":
            found["kernel"] = words[2]
        elif len(words) == 2 and words[0] == "vmm" and words[1][0] == "/":
            found["vmm"] = words[1]
    return found if len(found) == 2 else None


def _halves(answer: dict[str, str], config: str) -> Halves | None:
    """The artifacts, unless the cache has dropped them."""
    kernel, vmm = Path(answer["kernel"]), Path(answer["vmm"])
    with contextlib.suppress(OSError, ValueError, KeyError):
        if (vmm / "kvm").is_dir() and (kernel / "vmlinux").is_file():
            os.utime(kernel)
            os.utime(vmm)
            return Halves(
                build.stored(kernel, config),
                Vmm(vmm.name, vmm, 0.0, False),
            )
    return None


def _is_new(path: Path, since: float) -> bool:
    """Whether the build that began then made it."""
    try:
        return path.stat().st_mtime >= since - 1
    except OSError:
        return False


def last_words(output: str) -> str:
    """The lines that show what went wrong. Pure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # As a whole word: the failed command line contains -Werror.
    telling = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    return " / ".join((telling or lines)[:_TAIL_LINES]) or "no output"
