# SPDX-License-Identifier: GPL-2.0-only
"""The patch series in ``linux/patches``: reads it, commits it onto a base, writes it from commits.

Nothing here touches a work tree: patches are applied to a temporary index and become commits by
``commit-tree``, so one that fails leaves everything as it was.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.files import write_whole
from kvm.kernel.git import Repository
from kvm.kernel.series_memory import SeriesMemory


@dataclass(frozen=True, slots=True)
class Series:
    """The patches in order, and a digest of their order and content."""

    folder: Path
    names: tuple[str, ...]
    digest: str

    @classmethod
    def load(cls, folder: Path) -> Series:
        """Read ``series`` (one file name a line; # starts a comment)."""
        listing = folder / "series"
        lines = listing.read_text().splitlines() if listing.exists() else []
        digest = hashlib.sha256()
        names = []
        for number, line in enumerate(lines, 1):
            name = _named(line)
            if not name:
                continue
            patch = folder / name
            if not patch.is_file():
                raise UserError(
                    f"{listing}:{number}: {name} does not exist", "restore it or drop the line"
                )
            digest.update(name.encode() + b"\0" + patch.read_bytes() + b"\0")
            names.append(name)
        return cls(folder, tuple(names), digest.hexdigest()[:16])


def commit_series(
    repository: Repository, base: str, series: Series, say: Callable[[str], None]
) -> str:
    """Commit each patch on top of ``base``, not touching the work tree; return the last id.

    Commits of an earlier series that began with the same patches are reused.
    Raises ``UserError`` naming the patch, the file and the hunk that does not apply.
    """
    memory = SeriesMemory.load(repository, base)
    paths = [series.folder / name for name in series.names]
    done, tip = memory.longest(paths)
    if done == len(paths):
        return tip
    with repository.scratch_index(tip) as env:
        for number, patch in enumerate(paths[done:], done + 1):
            say(f"applying {patch.name} ({number}/{len(paths)})")
            applied = repository.run("apply", "--cached", "--verbose", patch, env=env, check=False)
            if not applied.ok:
                raise UserError(
                    f"{patch} does not apply:\n{_rejection(applied.output, patch)}",
                    "the kernel tree is unchanged; fix the patch or its place in the series file",
                )
            tree = repository.call("write-tree", env=env)
            tip = _commit(repository, tree, tip, patch)
            memory.add(paths[:number], tip)
    memory.save()
    return tip


def _rejection(output: str, patch: Path) -> str:
    """Git's output, with the hunk header of each place that failed."""
    text = patch.read_text(errors="replace").splitlines()
    words = []
    for line in output.splitlines():
        if not line.startswith("error:"):
            continue
        words.append("  " + line)
        place = re.search(r"patch failed: (\S+):(\d+)", line)
        if place:
            hunks = [t for t in text if re.match(rf"@@ -{place.group(2)}(,|\s)", t)]
            words += [f"    hunk {hunk}" for hunk in hunks]
    return "\n".join(words) or output.strip()


def _commit(repository: Repository, tree: str, parent: str, patch: Path) -> str:
    """Commit ``tree`` with the author, date and message of the mail in ``patch``."""
    mail = _mail(repository, patch)
    date = mail.get("Date", "2000-01-01T00:00:00Z")
    env = {
        "GIT_AUTHOR_NAME": mail.get("Author", "unknown"),
        "GIT_AUTHOR_EMAIL": mail.get("Email", ""),
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
    }
    message = f"{mail.get('Subject', patch.stem)}\n\n{mail['message']}".strip() + "\n"
    return repository.call("commit-tree", tree, "-p", parent, env=env, stdin=message.encode())


def _mail(repository: Repository, patch: Path) -> dict[str, str]:
    """``Author``, ``Email``, ``Subject`` and ``Date`` if present, and the ``message``.

    Git reads the mail, because it knows how mails encode names.
    """
    with tempfile.TemporaryDirectory(prefix="tools-kvm-mail-") as folder:
        message, diff = Path(folder) / "message", Path(folder) / "diff"
        argv = ("mailinfo", "-b", message, diff)
        headers = repository.call(*argv, stdin=patch.read_bytes())
        text = message.read_text(errors="replace")
    named = (line.partition(": ") for line in headers.splitlines())
    return {**{name: value for name, _, value in named if value}, "message": text}


def write_series(repository: Repository, base: str, tip: str, folder: Path) -> tuple[str, ...]:
    """Write ``base..tip`` to ``folder``, one file a commit and ``series``; return the names."""
    merges = repository.call("rev-list", "--min-parents=2", f"{base}..{tip}")
    if merges:
        raise UserError(
            f"{merges.splitlines()[0][:12]} is a merge, which a patch series can't hold",
            f"linearise it: git -C linux/tree rebase {base[:12]}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    before = (folder / "series").read_text().splitlines() if (folder / "series").exists() else []
    kept = {}
    argv = ("rev-list", "--reverse", f"{base}..{tip}")
    for number, commit in enumerate(repository.call(*argv).split(), 1):
        subject = repository.call("show", "-s", "--format=%f", commit)
        kept[f"{number:04d}-{subject[:52].rstrip('-')}.patch"] = formatted(repository, commit)
    for name, content in kept.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != content:
            (folder / name).write_bytes(content)
    write_whole(folder / "series", _listing(before, tuple(kept)))
    # Other files in the folder are the user's.
    for name in filter(None, map(_named, before)):
        if name not in kept:
            (folder / name).unlink(missing_ok=True)
    return tuple(kept)


def _named(line: str) -> str:
    """The patch named by a line of the series; "" for a comment."""
    return line.split("#")[0].strip()


def _listing(before: Sequence[str], names: tuple[str, ...]) -> str:
    """The series with ``names``; comments stay with the patch that they precede or follow.

    A patch is recognized by its name without the number. Remaining comments go to the end.
    """
    above: dict[str, list[str]] = {}
    behind: dict[str, str] = {}
    waiting: list[str] = []
    for line in before:
        name = _named(line)
        if not name:
            waiting.append(line)
            continue
        known_as = name.partition("-")[2] or name
        above[known_as], waiting = waiting, []
        behind[known_as] = line.partition(name)[2]
    lines: list[str] = []
    for name in names:
        known_as = name.partition("-")[2] or name
        lines += above.pop(known_as, [])
        lines.append(name + behind.get(known_as, ""))
    lines += [line for left in above.values() for line in left if line.strip()]
    return "".join(f"{line}\n" for line in [*lines, *waiting])


def formatted(repository: Repository, commit: str) -> bytes:
    """The commit as a mail; equal commits give equal text."""
    return repository.output(
        "format-patch",
        "-1",
        "--stdout",
        "--zero-commit",
        "--no-signature",
        "--no-stat",
        "--full-index",
        "--no-renames",
        "--no-signoff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-to",
        "--no-cc",
        "-N",
        commit,
    )
