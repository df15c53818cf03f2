# SPDX-License-Identifier: GPL-2.0-only
"""Makes the history of ``tests/bisect/planted/history.toml`` in a checkout of its own.

Its first commit has the current files of this checkout, and its kernel tree shares this one's
objects. Kernel changes become files of ``linux/patches``, VMM changes edit one source file each;
nothing is checked out or compiled for them. Dates are fixed, so the same files give the same
commits.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.kernel import patches, tree
from kvm.kernel.git import Repository
from kvm.kernel.patches import Series
from kvm.kernel.tree import Mode
from kvm.matrix.planted_copy import Mirror
from kvm.process import CommandError
from kvm.project import Project
from kvm.run import revision
from kvm.say import Say

_DATE = "2026-01-{:02}T12:{:02}:00Z"
_BRANCH = "planted"
_PIN = "refs/tags/tools-kvm-base"
# Files for harmless changes, used in turn: small ones, which few others include.
KERNEL_FILES = (
    "drivers/char/hw_random/core.c",
    "kernel/reboot.c",
    "lib/kobject.c",
    "fs/9p/fid.c",
    "drivers/base/bus.c",
)
VMM_FILES = (
    "tools/kvm/src/devices/i8042.cpp",
    "tools/kvm/src/devices/reset_control.cpp",
    "tools/kvm/src/base/signals.cpp",
    "tools/kvm/src/arch/x86_64/page_tables.cpp",
    "tools/kvm/src/devices/debug_port.cpp",
)
# The kinds of unnamed commits, in turn.
_FILLERS = ("kernel", "vmm", "vmm", "kernel", "docs", "vmm", "kernel", "both")


@dataclass(frozen=True, slots=True)
class Case:
    """A planted regression: the answer is ``culprit``, ``label`` and ``part`` ("": any)."""

    name: str
    cell: str
    culprit: str
    label: str
    part: str


@dataclass(frozen=True, slots=True)
class History:
    """The first and the last commit, and those between."""

    base: str
    tip: str
    cases: tuple[Case, ...]


def build_history(project: Project, root: Path, say: Say) -> History:
    """Make the history in ``root`` again; builds there stay for the next time."""
    plan = load_plan(project.root / "tests" / "bisect" / "planted" / "history.toml")
    say("copying the checkout")
    Mirror(project.root, root).sync()
    checkout = Project(root)
    _share_kernel(project, checkout, say)
    writer = _Writer(checkout, plan)
    base = writer.first()
    commits = {at: writer.commit(at, say) for at in range(1, len(plan.items) + 1)}
    writer.finish()
    cases = tuple(
        Case(item["name"], item["cell"], commits[item["at"]], item["label"], item["part"])
        for item in plan.cases
    )
    return History(base, commits[len(plan.items)], cases)


@dataclass(frozen=True, slots=True)
class Plan:
    """The kind of each commit in order; ``items[0]`` is the first after the start."""

    folder: Path
    items: tuple[Mapping[str, Any], ...]
    cases: tuple[Mapping[str, Any], ...]


def load_plan(path: Path) -> Plan:
    """Read ``history.toml``, and fill the positions that it does not name."""
    record = tomllib.loads(path.read_text())
    cases = tuple(record["case"])
    named = {item["at"]: item for item in (*record["commit"], *cases)}
    if len(named) != len(record["commit"]) + len(cases):
        raise UserError(f"{path}: two commits stand at one position", "move one")
    return Plan(path.parent, filled(record["commits"], named), cases)


def filled(count: int, named: Mapping[int, Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The commits from 1 to ``count``; unnamed ones are harmless, of each kind in turn. Pure."""
    free = (at for at in range(1, count + 1) if at not in named)
    harmless = {at: _harmless(turn, at) for turn, at in enumerate(free)}
    return tuple(named.get(at) or harmless[at] for at in range(1, count + 1))


def _harmless(turn: int, at: int) -> dict[str, Any]:
    kind = _FILLERS[turn % len(_FILLERS)]
    if kind == "docs":
        return {"subject": f"docs: note {at}", "docs_file": "CHANGELOG.md"}
    kernel, vmm = KERNEL_FILES[turn % len(KERNEL_FILES)], VMM_FILES[turn % len(VMM_FILES)]
    names = {"kernel": kernel, "vmm": vmm, "both": "both halves"}
    item: dict[str, Any] = {"subject": f"{Path(names[kind]).stem}: a note"}
    if kind != "vmm":
        item["kernel_file"] = kernel
    if kind != "kernel":
        item["vmm_file"] = vmm
    return item


def _share_kernel(project: Project, checkout: Project, say: Say) -> None:
    """Make a kernel tree in the state that belongs to the first commit's patches."""
    source = tree.prepare(project, say)
    if source.mode is not Mode.PINNED:
        raise UserError(
            f"the kernel tree is {source.mode.value}: the planted history adds patches to a pin",
            "unset KERNEL_TREE",
        )
    tree.refuse_unsaved(source, "the planted history starts at linux/patches")
    copy = checkout.linux / "tree"
    if (copy / ".git").exists() and _pinned(copy) != _pinned(source.path):
        shutil.rmtree(copy)  # the pin has changed, and the borrowed objects are gone
    revision.share_tree(source.path, copy, say)


def _pinned(kernel: Path) -> str | None:
    return Repository(kernel).commit_of(_PIN)


@dataclass(slots=True)
class _Writer:
    """Adds commits to ``checkout`` one by one; its work tree follows."""

    checkout: Project
    plan: Plan
    tip: str = ""
    names: list[str] = field(default_factory=list)

    @property
    def _here(self) -> Repository:
        return Repository(self.checkout.root)

    @property
    def _kernel(self) -> Repository:
        return Repository(self.checkout.linux / "tree")

    def first(self) -> str:
        """Commit the checkout as it is, and the kernel commit that its patches make."""
        series = Series.load(self.checkout.linux / "patches")
        base = self._kernel.call("rev-parse", _PIN)
        self.tip = patches.commit_series(self._kernel, base, series, lambda text: None)
        self.names = list(series.names)
        return self._commit("Start", 0, parent="")

    def commit(self, at: int, say: Say) -> str:
        """Make the commit at this position; return its id."""
        item = self.plan.items[at - 1]
        say(f"{at}/{len(self.plan.items)} {item['subject']}")
        for name in item.get("kernel", ()):
            self._patch_kernel(item["subject"], at, "apply", "--cached", self.plan.folder / name)
        for name in item.get("kernel_reverse", ()):
            path = self.plan.folder / name
            self._patch_kernel(item["subject"], at, "apply", "--cached", "--reverse", path)
        for name in item.get("vmm", ()):
            self._apply(self._here, "apply", self.plan.folder / name)
        for name in item.get("vmm_reverse", ()):
            self._apply(self._here, "apply", "--reverse", self.plan.folder / name)
        if "kernel_file" in item:
            self._note_in_kernel(item["kernel_file"], item["subject"], at)
        if "vmm_file" in item:
            self._append(item["vmm_file"], f"\n{_note(item['subject'], at)}\n")
        if "docs_file" in item:
            self._append(item["docs_file"], f"- {item['subject']}.\n")
        return self._commit(item["subject"], at, parent="HEAD")

    def finish(self) -> None:
        """Set the branch, for people; the kernel tree follows when it is built."""
        self._here.call("update-ref", f"refs/heads/{_BRANCH}", "HEAD")

    def _note_in_kernel(self, name: str, subject: str, at: int) -> None:
        kernel = self._kernel
        note = f"\n{_note(subject, at)}\n".encode()
        text = kernel.output("show", f"{self.tip}:{name}") + note
        blob = kernel.run("hash-object", "-w", "--stdin", stdin=text).output.strip()
        self._patch_kernel(subject, at, "update-index", "--cacheinfo", f"100644,{blob},{name}")

    def _patch_kernel(self, subject: str, at: int, *words: str | Path) -> None:
        """Change the kernel's index by a git command, and save the change as a patch file."""
        kernel = self._kernel
        with kernel.scratch_index(self.tip) as env:
            self._apply(kernel, *words, env=env)
            git_tree = kernel.call("write-tree", env=env)
        dated = {"GIT_AUTHOR_DATE": self._date(at)}
        made = ("commit-tree", git_tree, "-p", self.tip, "-m", subject)
        self.tip = kernel.call(*made, env=dated)
        name = f"{len(self.names) + 1:04d}-planted-{at}.patch"
        folder = self.checkout.linux / "patches"
        (folder / name).write_bytes(patches.formatted(kernel, self.tip))
        self.names.append(name)
        (folder / "series").write_text("".join(f"{one}\n" for one in self.names))

    def _commit(self, subject: str, at: int, parent: str) -> str:
        """Commit the checkout's files."""
        here = self._here
        here.call("add", "--all")
        git_tree = here.call("write-tree")
        parents = ("-p", here.call("rev-parse", parent)) if parent else ()
        dated = {"GIT_AUTHOR_DATE": self._date(at)}
        commit = here.call("commit-tree", git_tree, *parents, "-m", subject, env=dated)
        here.call("update-ref", "--no-deref", "HEAD", commit)
        return commit

    def _apply(
        self, repository: Repository, *words: str | Path, env: Mapping[str, str] | None = None
    ) -> None:
        try:
            repository.call(*words, env=env)
        except CommandError as failed:
            raise UserError(
                f"{words[-1]} does not apply to the planted history: "
                f"{failed.completed.output.strip()}",
                "bring it up to date with the sources that it changes",
            ) from failed

    def _append(self, name: str, text: str) -> None:
        path = self.checkout.root / name
        path.write_text(path.read_text() + text)

    def _date(self, at: int) -> str:
        return _DATE.format(1 + at // 60, at % 60)


def _note(subject: str, at: int) -> str:
    """A line of C that does nothing. For a compiler cache a comment would change nothing."""
    return f'static const char __attribute__((used)) planted_{at}[] = "{subject}, {at}";'
