# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's git work tree, in its three modes.

pinned    ``linux/tree``: the pin's source as one commit, then one commit per patch.
tracked   ``linux/Makefile`` is tracked by the surrounding repository: that is the tree.
external  ``KERNEL_TREE=PATH``: a user's clone, used as it is.
Only a pinned tree is ever written to, and never over changes that ``linux/patches``
does not contain.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path

from kvm import process
from kvm.errors import UsageError, UserError
from kvm.files import write_whole
from kvm.kernel import fetch, patches, switch
from kvm.kernel.git import Repository
from kvm.kernel.patches import Series
from kvm.kernel.paths import refuse_odd
from kvm.kernel.pin import Pin
from kvm.kernel.pin import load as load_pin
from kvm.process import CommandError
from kvm.project import Project
from kvm.say import Say

STATE_FILE = "tools-kvm.json"  # in a pinned tree's git folder
_BASE = "refs/tags/tools-kvm-base"
# The version of the import; a tree with another version is imported again.
_IMPORT = 2
_HOOK = """#!/bin/sh
# Keeps linux/patches in step with linux/tree, so that a commit carries both halves.
root=$(git rev-parse --show-toplevel) || exit 1
[ -d "$root/linux/tree/.git" ] || exit 0
"$root/invoke" kernel.save >&2 || exit 1
git -C "$root" add --all linux/patches
"""


class Mode(Enum):
    """The kind of kernel tree that is built."""

    PINNED = "pinned"
    TRACKED = "tracked"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Tree:
    """A kernel source tree that is ready to build."""

    path: Path
    mode: Mode
    shadow: Path | None = None  # a git folder of ours for an external tree, which is not written to

    @property
    def repository(self) -> Repository:
        if self.shadow is None:
            return Repository(self.path)
        return Repository.shadowed(self.path, self.shadow)


@dataclass(frozen=True, slots=True)
class _State:
    """The pin and series from which a pinned tree was made; kept in its git folder.

    ``moving_to`` is set while the work tree is switched from one series to another, so that the
    next command can finish an interrupted switch.
    """

    pin: str
    series: str
    tip: str
    moving_to: str = ""
    imported: int = 1


def locate(project: Project) -> Tree:
    """Find the tree that this checkout builds, without touching anything."""
    refuse_odd(project.root, "the checkout's folder", "move it, or give its folder another name")
    chosen = os.environ.get("KERNEL_TREE")
    if chosen:
        path = Path(chosen).expanduser().resolve()
        if not (path / "Kbuild").is_file() or not (path / "Makefile").is_file():
            raise UsageError(
                f"KERNEL_TREE={chosen} is no kernel tree", "point it at a kernel clone"
            )
        refuse_odd(path, "KERNEL_TREE", "give its folder another name")
        name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        return Tree(path, Mode.EXTERNAL, project.cache / "external" / name)
    if (project.linux / "Makefile").is_file():
        return Tree(project.linux, Mode.TRACKED)
    return Tree(project.linux / "tree", Mode.PINNED)


def prepare(project: Project, say: Say, *, pinned_only: bool = False) -> Tree:
    """Make the tree ready: fetch and import it at first, follow pin and patches later."""
    tree = locate(project)
    if tree.mode is not Mode.PINNED:
        return tree
    pin = load_pin(project.linux / "pin.toml")
    series = Series.load(project.linux / "patches")
    if not (tree.path / ".git").exists():
        _import(project, pin, tree, say, pinned_only)
        install_hook(project)
    state = _read_state(tree)
    if state is None or (state.pin, state.imported) != (pin.id, _IMPORT):
        _import_anew(project, pin, tree, say, pinned_only)
        state = _read_state(tree)
    assert state is not None
    if state.moving_to:
        state = _finish_move(tree, state, say)
    if state.series != series.digest:
        _follow_series(tree, state, series, say)
    return tree


def _follow_series(tree: Tree, state: _State, series: Series, say: Say) -> None:
    """Move the tree to the current ``linux/patches``; only changed files are rewritten."""
    repository = tree.repository
    refuse_unsaved(tree, "linux/patches has changed")
    tip = patches.commit_series(repository, _base(repository), series, say)
    head = repository.commit_of("HEAD")
    assert head is not None
    _write_state(tree, replace(state, moving_to=tip))
    try:
        switch.begin(repository, head, tip)
    except UserError:
        _write_state(tree, state)  # git checks before it writes: nothing was changed
        raise
    _write_state(tree, replace(state, series=series.digest, tip=tip))


def _finish_move(tree: Tree, state: _State, say: Say) -> _State:
    """Complete a switch that was killed half-way; other files stay as they are."""
    say("finishing an interrupted switch of the kernel tree")
    switch.finish(tree.repository, state.tip, state.moving_to)
    # The series digest stays stale on purpose: the next step applies it again, to the same tip.
    done = replace(state, tip=state.moving_to, moving_to="")
    _write_state(tree, done)
    return done


def unsaved(tree: Tree) -> str | None:
    """A description of what the tree has and ``linux/patches`` has not; None for nothing."""
    repository = tree.repository
    state = _read_state(tree)
    expected = state.tip if state is not None else _base(repository)
    if repository.commit_of("HEAD") != expected:
        return f"commits since {expected[:12]}"
    if repository.is_dirty():
        changed = repository.call("status", "--porcelain").splitlines()
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return f"edits ({changed[0][3:]}{more})"
    return None


def refuse_unsaved(tree: Tree, because: str) -> None:
    """Raise unless everything in the tree is already in ``linux/patches``."""
    what = unsaved(tree)
    if what is not None:
        raise UserError(
            f"{because}, but {tree.path} has unsaved {what}",
            "./invoke kernel.save keeps them as patches (git stash first if linux/patches moved "
            "under you), or git -C linux/tree stash puts them aside",
        )


def save(project: Project, say: Say, *, message: str = "") -> tuple[str, ...]:
    """Turn the tree's commits and edits into ``linux/patches``; return the patch names.

    Edits are committed first, with ``message`` (default: the names of their files).
    """
    tree = locate(project)
    if tree.mode is not Mode.PINNED:
        raise UserError(
            f"the kernel tree is {tree.mode.value}: its changes are its own commits",
            "kernel.save is for the pinned tree in linux/tree",
        )
    if not (tree.path / ".git").exists():
        return Series.load(project.linux / "patches").names
    pin = load_pin(project.linux / "pin.toml")
    state = _read_state(tree)
    folder = project.linux / "patches"
    series = Series.load(folder)
    if state is not None and state.series != series.digest and unsaved(tree) is not None:
        raise UserError(
            "linux/patches and linux/tree have both changed since they last agreed",
            "put one aside: git stash in this repository, or git -C linux/tree stash",
        )
    repository = tree.repository
    _refuse_elsewhere(repository)
    if state is not None and state.moving_to:
        raise UserError(
            "the kernel tree is between two states of linux/patches",
            "run ./invoke kernel.tree, which finishes its switch",
        )
    if repository.is_dirty():
        _commit_edits(repository, message, say)
    tip = repository.commit_of("HEAD")
    assert tip is not None
    if state is not None and state.tip == tip:
        return series.names
    names = patches.write_series(repository, _base(repository), tip, folder)
    _write_state(tree, _State(pin.id, Series.load(folder).digest, tip, imported=_IMPORT))
    say(f"saved {len(names)} patch(es) to {folder.relative_to(project.root)}")
    return names


# Files in a git folder that show an operation under way, with its name.
_UNDER_WAY = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}


def _refuse_elsewhere(repository: Repository) -> None:
    """HEAD must be where the user's work is: commits it lacks would be dropped from the series."""
    git_dir = repository.git_dir
    for name, what in _UNDER_WAY.items():
        if (git_dir / name).exists():
            raise UserError(
                f"{repository.path} is in the middle of {what}",
                "end it first (git -C linux/tree status says how); linux/patches is unchanged",
            )
    try:
        repository.call("symbolic-ref", "--quiet", "HEAD")
    except CommandError:
        raise UserError(
            f"{repository.path} has no branch checked out",
            "git -C linux/tree switch tools-kvm, or switch -c NAME to keep what is there; "
            "linux/patches is unchanged",
        ) from None
    base = _base(repository)
    if not repository.run("merge-base", "--is-ancestor", base, "HEAD", check=False).ok:
        raise UserError(
            f"the branch in {repository.path} does not begin at the pin's source ({_BASE})",
            f"rebase it: git -C linux/tree rebase {base[:12]}; linux/patches is unchanged",
        )


def _commit_edits(repository: Repository, message: str, say: Say) -> None:
    repository.call("add", "--all")
    files = repository.call("diff", "--cached", "--name-only").splitlines()
    subject = message or f"Edit {', '.join(files[:3])}" + (" …" if len(files) > 3 else "")
    say(f"committing edits to {len(files)} file(s) in the kernel tree: {subject}")
    identity = {
        key: value
        for key, name in (("GIT_AUTHOR_NAME", "user.name"), ("GIT_AUTHOR_EMAIL", "user.email"))
        if (value := os.environ.get(key) or repository.users_own("config", name))
    }
    repository.call("commit", "--quiet", "--no-verify", "-m", subject, env=identity)


def install_hook(project: Project) -> None:
    """Make each commit of the surrounding repository save the kernel tree's changes first.

    An existing hook of the user is left alone.
    """
    repository = Repository(project.root)
    if not (project.root / ".git").exists():
        return
    hook = project.root / repository.users_own("rev-parse", "--git-path", "hooks/pre-commit")
    if hook.exists():
        return
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(_HOOK)
    hook.chmod(0o755)


def _import(project: Project, pin: Pin, tree: Tree, say: Say, pinned_only: bool) -> None:
    """Import at first use: unpack and commit in a folder that is renamed when complete."""
    fetched = fetch.fetch(pin, project.cache, say=say, pinned_only=pinned_only)
    work = tree.path.with_name("tree.import")
    if work.exists():
        say("clearing an interrupted import")
        shutil.rmtree(work)
    _need_space(work.parent, gib=4)
    work.mkdir(parents=True)
    repository = Repository(work)
    repository.call("init", "--quiet", "--initial-branch=tools-kvm")
    for key, value in (
        ("feature.manyFiles", "true"),
        ("gc.auto", "0"),
        ("core.fsync", "none"),
        ("core.commentChar", ";"),
    ):
        repository.call("config", key, value)
    if fetched.tarball is not None:
        _unpack(fetched.tarball, work, say)
        _track_new_files(work)
        say("importing the source into git")
        # Files above the threshold go into one pack instead of 86,000 loose objects.
        into_pack = ("-c", "core.bigFileThreshold=1", "-c", "core.compression=1")
        repository.call(*into_pack, "add", "--all", "--force")
        _commit_base(repository, fetched)
    else:
        assert fetched.repository is not None
        say("checking the source out")
        repository.run("fetch", "--quiet", "--depth=1", fetched.repository, fetched.commit)
        repository.run("reset", "--quiet", "--hard", fetched.commit)
    repository.call("update-ref", _BASE, "HEAD")
    head = repository.call("rev-parse", "HEAD")
    _write_state(Tree(work, Mode.PINNED), _State(pin.id, "", head, imported=_IMPORT))
    os.replace(work, tree.path)


def _unpack(tarball: Path, work: Path, say: Say) -> None:
    say(f"unpacking {tarball.name[:12]}… ({tarball.stat().st_size >> 20} MiB)")
    process.run(
        (
            "tar",
            "--extract",
            "--strip-components=1",
            "--no-same-owner",
            "--file",
            tarball,
            "--directory",
            work,
        )
    )
    if not (work / "Kbuild").is_file():
        raise UserError(f"{tarball} holds no kernel tree", "correct the source in linux/pin.toml")


def _track_new_files(work: Path) -> None:
    """Undo a .gitignore that hides the whole top level from git, as Debian's does.

    With it, a file that a user adds would be neither built nor saved as a patch.
    """
    ignore = work / ".gitignore"
    if ignore.exists():
        lines = ignore.read_text().splitlines(keepends=True)
        ignore.write_text("".join(line for line in lines if line.strip() != "/*"))


def _commit_base(repository: Repository, fetched: fetch.Fetched) -> None:
    message = f"Linux {fetched.version}\n\nFrom: {fetched.source.describe()}"
    env = {"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z"}
    repository.call("commit", "--quiet", "--no-verify", "-m", message, env=env)


def _import_anew(project: Project, pin: Pin, tree: Tree, say: Say, pinned_only: bool) -> None:
    """Import the source beside the old tree, say for a new pin, then swap them."""
    refuse_unsaved(tree, "the kernel tree has to be imported anew")
    say(f"importing {pin.version} anew")
    old = tree.path.with_name("tree.old")
    shutil.rmtree(old, ignore_errors=True)
    staged = Tree(tree.path.with_name("tree.new"), Mode.PINNED)
    shutil.rmtree(staged.path, ignore_errors=True)
    _import(project, pin, staged, say, pinned_only)
    os.replace(tree.path, old)
    os.replace(staged.path, tree.path)
    shutil.rmtree(old)


def _need_space(folder: Path, gib: int) -> None:
    free = shutil.disk_usage(folder).free >> 30
    if free < gib:
        raise UserError(
            f"{folder} has {free} GiB free, the kernel tree needs {gib}",
            "make room, then try again",
        )


def _base(repository: Repository) -> str:
    base = repository.commit_of(_BASE)
    if base is None:
        raise UserError(
            f"{repository.path} has lost its base commit ({_BASE})",
            "move the folder aside and run ./invoke kernel.tree to import it anew",
        )
    return base


def _state_file(tree: Tree) -> Path:
    return tree.path / ".git" / STATE_FILE


def _read_state(tree: Tree) -> _State | None:
    try:
        return _State(**json.loads(_state_file(tree).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write_state(tree: Tree, state: _State) -> None:
    write_whole(_state_file(tree), json.dumps(asdict(state)))
