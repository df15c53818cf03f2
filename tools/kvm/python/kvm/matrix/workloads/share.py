# SPDX-License-Identifier: GPL-2.0-only
"""Shares: both sides see the same tree whatever either does, and nothing outside of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kvm.matrix.pattern import pattern
from kvm.matrix.workload import Bench, Workload
from kvm.spec.share import ShareSpec

_FILES = 40
_SLEEP_S = 30.0


def share_tree(bench: Bench) -> None:
    """The guest writes, renames, links and removes; then both sides compare checksums."""
    folder = bench.folder / "share"
    folder.mkdir()
    sizes = [(number * number * 397) % 200_000 for number in range(_FILES)]
    for number, size in enumerate(sizes):
        (folder / f"host{number}").write_bytes(pattern(bench.seed + number, 0, size))
    (bench.folder / "outside").write_text("outside")
    (folder / "escape").symlink_to("../outside")
    script = (
        "cd /mnt/work; md5sum host* | sort -k2; echo READ; "
        "mkdir -p a/b; for n in 0 1 2 3 4 5 6 7; do cp host1$n a/b/copy$n; done; "
        "mv a/b a/c; mv a/c/copy0 moved; ln moved hard; ln -s a/c/copy1 soft; rm a/c/copy2; "
        "dd if=a/c/copy3 of=odd bs=333 seek=7 conv=notrunc 2>/dev/null; truncate -s 5000 moved; "
        "chmod 640 odd; sync; cat soft | md5sum; "
        "cat escape 2>/dev/null || echo no way out; "
        "for n in $(seq 300); do : >many.$n; done; ls | grep -c many; rm many.*; ls -R . | md5sum; "
        "find . -type f | sort | xargs md5sum"
    )
    done = bench.boot("sh", "-ec", script, shares=(ShareSpec(folder, "work"),), quiet_s=_SLEEP_S)
    before, _, after = done.text.partition("READ\n")
    wanted = {f"host{n}": _sum(pattern(bench.seed + n, 0, size)) for n, size in enumerate(sizes)}
    bench.check("the guest reads what the host wrote", _sums(before) == wanted, f"{_FILES} files")
    lines = after.splitlines()
    copy1 = _sum((folder / "host11").read_bytes())
    bench.check("a symbolic link is followed by the guest", lines[:1] == [f"{copy1}  -"])
    bench.check("no link leads out", lines[1:2] == ["no way out"], " ".join(lines[1:2]))
    bench.check("300 new files are listed", lines[2:3] == ["300"], " ".join(lines[2:3]))
    _check_tree(bench, folder, _sums("\n".join(lines[4:])))


def _check_tree(bench: Bench, folder: Path, seen: dict[str, str]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    held = {f"./{path.relative_to(folder)}": _sum(path.read_bytes()) for path in files}
    differing = sorted(name for name in {*seen, *held} if seen.get(name) != held.get(name))
    bench.check("both sides have the same files", not differing, f"{len(held)} {differing[:3]}")
    bench.check("a hard link is one file", (folder / "hard").samefile(folder / "moved"))
    bench.check("a renamed file is cut off", (folder / "moved").stat().st_size == 5000)
    bench.check("removed files are gone", not list(folder.glob("many.*")))
    mode = (folder / "odd").stat().st_mode & 0o777
    bench.check("a mode is kept", mode == 0o640, f"{mode:o}")


def share_readonly(bench: Bench) -> None:
    """A read-only share takes no write, even from a guest that mounts it writable."""
    folder = bench.folder / "share"
    folder.mkdir()
    (folder / "file").write_text("content")
    script = (
        "umount /mnt/work; mount -t 9p -o trans=virtio,version=9p2000.L work /mnt/work; "
        "cd /mnt/work; cat file; echo; "
        "for c in 'echo x >file' 'echo x >new' 'mkdir new' 'rm file' 'mv file new' "
        "'chmod 777 file' 'ln file new' 'ln -s x new' 'truncate -s 0 file'; do "
        'if sh -c "$c" 2>&1 | grep -q "Read-only"; then echo refused; else echo "DONE $c"; fi; done'
    )
    done = bench.boot("sh", "-ec", script, shares=(ShareSpec(folder, "work", read_only=True),))
    lines = done.text.splitlines()
    bench.check("the file can be read", lines[:1] == ["content"], " ".join(lines[:1]))
    told = "; ".join(lines[1:])
    bench.check("nine ways to write are refused", lines[1:] == ["refused"] * 9, told)
    names = [path.name for path in folder.iterdir()]
    bench.check("the folder is as it was", names == ["file"], f"{names}")
    bench.check("so is the file", (folder / "file").read_text() == "content")


def _sum(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sums(text: str) -> dict[str, str]:
    """Parse the output of ``md5sum``."""
    pairs = (line.split(None, 1) for line in text.splitlines() if line)
    return {name: digest for digest, name in pairs}


WORKLOADS = (
    Workload("share_tree", share_tree, "a shared folder is one tree to host and guest", 120.0),
    Workload("share_readonly", share_readonly, "a read-only share takes no write", 60.0),
)
